"""Series over the API: judged date by date, placed, changed, cancelled, a date put back."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.api.conftest import DAY, World, at

FIRST = DAY.date()


def day(week: int) -> str:
    return (FIRST + timedelta(weeks=week)).isoformat()


def order(**more) -> dict:
    """Four weeks at ten in Guangdong, which is two in UTC."""
    return {
        "instrument_id": "SEM",
        "rule": "FREQ=WEEKLY;COUNT=4",
        "first_day": day(0),
        "start": "10:00",
        "length": "PT1H30M",
    } | more


def placed(world: World, **more) -> dict:
    answer = world.post("/series", json=order(**more))
    assert answer.status_code == 201, answer.text
    return answer.json


def states(series: dict) -> list[str]:
    return [one["booking"]["state"] if one["booking"] else one["why"] for one in series["dates"]]


def test_every_date_is_judged_before_anything_is_placed(world: World):
    world.book(24 * 7 + 2, 24 * 7 + 3, who="ben")
    answer = world.post("/series/dry-run", json=order(excluded=[day(3)]))
    assert answer.status_code == 200
    found = answer.json
    assert found["allowed"] is False
    assert found["zone"] == "Asia/Shanghai"
    assert [one["day"] for one in found["dates"]] == [day(week) for week in range(4)]
    assert [one["allowed"] for one in found["dates"]] == [True, False, True, True]
    assert [one["take"] for one in found["dates"]] == ["asked", "asked", "asked", "excluded"]
    assert found["dates"][0]["start"] == at(2)
    assert found["dates"][1]["reasons"][0]["code"] == "taken"
    other = found["dates"][1]["alternatives"][0]
    choice = {"day": day(1), "take": "other"} | {name: other[name] for name in ("start", "end")}
    assert world.post("/series/dry-run", json=order(choices=[choice])).json["allowed"] is True
    assert found["estimate"]["total"] == "1800.00"  # of the two that are free and wanted


def test_a_series_is_placed_and_read(world_on_both: World):
    world = world_on_both
    answer = world.post("/series", json=order(purpose="Weekly scan"))
    assert answer.status_code == 201
    series = answer.json
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"/api/v1/series/{series['id']}"
    assert (series["rule"], series["start"], series["length"], series["purpose"]) == (
        f"FREQ=WEEKLY;BYDAY={['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'][FIRST.weekday()]};COUNT=4",
        "10:00",
        "PT1H30M",
        "Weekly scan",
    )
    assert states(series) == ["confirmed"] * 4
    assert [one["booking"]["series_day"] for one in series["dates"]] == [day(week) for week in range(4)]
    assert {one["booking"]["series_id"] for one in series["dates"]} == {series["id"]}
    assert world.get(f"/series/{series['id']}").json == series
    assert world.get(f"/series/{series['id']}", who="cleo").status_code == 404
    assert world.get(f"/series/{uuid4()}").status_code == 404


def test_one_taken_date_refuses_all_with_the_date(world_on_both: World):
    world = world_on_both
    world.book(24 * 7 + 2, 24 * 7 + 3, who="ben")
    answer = world.post("/series", json=order())
    assert answer.status_code == 409
    (reason,) = answer.json["reasons"]
    assert (reason["code"], reason["params"]["series_day"]) == ("taken", day(1))
    assert world.get("/bookings").json["total"] == 1  # Ben's
    assert states(placed(world, otherwise="skip")) == ["confirmed", "skip", "confirmed", "confirmed"]


def test_choices_for_single_dates(world: World):
    world.book(24 * 7 + 2, 24 * 7 + 3, who="ben")
    choices = [
        {"day": day(0), "take": "skip"},
        {"day": day(1), "take": "waitlist"},
        {"day": day(2), "take": "other", "instrument_id": "SEM-2"},
    ]
    series = placed(world, choices=choices)
    assert states(series) == ["skip", "waitlist", "confirmed", "confirmed"]
    assert series["dates"][2]["booking"]["items"][0]["instrument_id"] == "SEM-2"


def test_a_request_sent_again_gives_the_same_series(world: World):
    key = {"Idempotency-Key": "again"}
    first = world.post("/series", json=order(), headers=key)
    second = world.post("/series", json=order(), headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json["id"] == second.json["id"]
    assert world.post("/series", json=order(start="11:00"), headers=key).status_code == 422


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"rule": "FREQ=WEEKLY"}, "rule", "endless"),
        ({"rule": "FREQ=HOURLY;COUNT=3"}, "rule", "malformed"),
        ({"rule": "FREQ=DAILY;COUNT=400"}, "rule", "too_large"),
        ({"start": "25:00"}, "start", "malformed"),
        ({"start": "9:00"}, "start", "malformed"),
        ({"first_day": "2026-13-01"}, "first_day", "malformed"),
        ({"first_day": "20261101"}, "first_day", "malformed"),
        ({"length": "PT30S"}, "length", "malformed"),
        ({"excluded": ["2020-01-01"]}, "excluded", "unknown"),
        ({"choices": [{"day": day(0), "take": "other"}]}, "choices.0.start", "required"),
        ({"choices": [{"day": day(0), "take": "skip"}] * 2}, "choices", "duplicate"),
        ({"choices": [{"day": "2020-01-01", "take": "skip"}]}, "choices", "unknown"),
        ({"otherwise": "perhaps"}, "otherwise", "unknown"),
    ],
)
def test_what_makes_no_sense_is_told_by_its_field(world: World, change, field, code):
    answer = world.post("/series", json=order(**change))
    assert answer.status_code == 422
    assert set(answer.json["errors"]) == {field}
    if code != "unknown" or field != "otherwise":
        assert answer.json["errors"][field] == code


def test_this_and_what_follows_is_changed(world_on_both: World):
    world = world_on_both
    series = placed(world)
    path = f"/series/{series['id']}"
    wish = {"scope": "following", "day": day(2), "start": "13:00"}
    assert world.patch(path, json=wish).status_code == 428
    assert world.patch(path, json=wish, headers={"If-Match": '"9"'}).status_code == 412
    answer = world.patch(path, json=wish, headers={"If-Match": '"1"'})
    assert answer.status_code == 200
    new = answer.json
    assert (new["split_from"], new["first_day"], new["start"]) == (series["id"], day(2), "13:00")
    assert [one["booking"]["start"] for one in new["dates"]] == [at(5, 14), at(5, 21)]
    assert states(world.get(path).json) == ["confirmed"] * 2
    one = world.patch(
        path, json={"scope": "this", "day": day(1), "start": "15:00"}, headers={"If-Match": "*"}
    ).json
    assert one["dates"][1]["booking"]["start"] == at(7, 7)
    assert world.patch(path, json=wish, headers={"If-Match": "*"}, who="cleo").status_code == 404


def test_another_rule_for_all(world: World):
    series = placed(world)
    wish = {"scope": "all", "rule": "FREQ=WEEKLY;COUNT=2"}
    found = world.patch(f"/series/{series['id']}", json=wish, headers={"If-Match": "*"}).json
    assert states(found) == ["confirmed", "confirmed", "cancelled", "cancelled"]


def test_dates_are_cancelled_and_put_back(world_on_both: World):
    world = world_on_both
    series = placed(world)
    path = f"/series/{series['id']}"
    answer = world.post(f"{path}/cancellation", json={"scope": "following", "day": day(2), "reason": "Over"})
    assert answer.status_code == 200
    assert states(answer.json) == ["confirmed", "confirmed", "cancelled", "cancelled"]
    assert [one["open"] for one in answer.json["dates"]] == [False, False, True, True]
    assert world.post(f"{path}/dates", json={"day": day(2)}, who="cleo").status_code == 404
    back = world.post(f"{path}/dates", json={"day": day(2)})
    assert back.status_code == 201
    assert states(back.json) == ["confirmed", "confirmed", "confirmed", "cancelled"]
    world.book(24 * 21 + 2, 24 * 21 + 3, who="ben")
    refused = world.post(f"{path}/dates", json={"day": day(3)})
    assert refused.status_code == 409
    assert refused.json["alternatives"]
    other = {"day": day(3), "start": at(6, 21), "end": at(7, 21)}
    assert world.post(f"{path}/dates", json=other).status_code == 201
    assert world.post(f"{path}/cancellation", json={"scope": "all"}).status_code == 200
    again = world.post(f"{path}/cancellation", json={"scope": "all"})
    assert (again.status_code, again.json["reasons"][0]["code"]) == (409, "nothing_ahead")


ACETONE = {"name": "Acetone", "cas": "67-64-1", "hazards": ["hazardous"]}


def test_chemicals_are_declared_for_all_dates(world_on_both: World):
    world = world_on_both
    key = {"Idempotency-Key": "again"}
    first = world.post("/series", json=order(chemicals=[ACETONE]), headers=key)
    assert first.json["id"] == world.post("/series", json=order(chemicals=[ACETONE]), headers=key).json["id"]
    assert world.post("/series", json=order(), headers=key).status_code == 422
    path = f"/series/{first.json['id']}"
    assert [one["name"] for one in world.get(f"{path}/chemicals").json["items"]] == ["Acetone"]
    for date in first.json["dates"]:
        found = world.get(f"/bookings/{date['booking']['id']}/chemicals").json["items"]
        assert [one["cas"] for one in found] == ["67-64-1"]
    changed = world.patch(path, json={"scope": "all", "chemicals": []}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert world.get(f"{path}/chemicals").json["items"] == []
    assert world.get(f"{path}/chemicals", who="cleo").status_code == 404
    wrong = world.post("/series", json=order(chemicals=[ACETONE | {"cas": "67-64-2"}]))
    assert wrong.json["errors"] == {"chemicals.0.cas": "wrong_cas"}


def test_papers_come_to_every_date_and_go(world_on_both: World):
    world = world_on_both
    series = placed(world)
    path = f"/series/{series['id']}/papers"
    told = "kind=sds&title=SDS%20acetone"
    added = world.post(f"{path}?{told}", data=b"%PDF-1.7", content_type="application/octet-stream")
    assert added.status_code == 201, added.text
    assert added.json["dates"] == 4
    (listed,) = world.get(path).json["items"]
    assert listed["paper"]["title"] == "SDS acetone"
    for date in series["dates"]:
        one = f"/bookings/{date['booking']['id']}/papers"
        (found,) = world.get(one).json["items"]
        assert world.get(f"{one}/{found['id']}").data == b"%PDF-1.7"
    assert world.get(path, who="cleo").status_code == 404
    assert (
        world.post(
            f"{path}?{told}", who="cleo", data=b"%PDF-1.7", content_type="application/octet-stream"
        ).status_code
        == 404
    )
    paper = f"{path}/{listed['paper']['id']}"
    assert world.delete(paper, who="cleo").status_code == 404
    assert world.delete(paper).status_code == 204
    assert world.get(path).json["items"] == []
    assert world.delete(paper).status_code == 404


def test_a_change_leaves_dates_out_and_lets_them_in(world: World):
    series = placed(world, excluded=[day(1)])
    wish = {"scope": "all", "excluded": [day(2)], "confidential": True}
    found = world.patch(f"/series/{series['id']}", json=wish, headers={"If-Match": "*"}).json
    assert states(found) == ["confirmed", "confirmed", "cancelled", "confirmed"]
    assert [one["booking"]["confidential"] for one in found["dates"]] == [True, True, False, True]
    unknown = {"scope": "all", "excluded": ["2020-01-01"]}
    answer = world.patch(f"/series/{series['id']}", json=unknown, headers={"If-Match": "*"})
    assert answer.status_code == 200  # what is before its first day means nothing to it


def test_series_are_listed_with_their_figures(world_on_both: World):
    world = world_on_both
    series = placed(world, purpose="Scan", choices=[{"day": day(3), "take": "skip"}])
    found = world.get("/series").json
    assert found["total"] == 1
    (one,) = found["items"]
    figures = {name: one[name] for name in ("id", "instrument_id", "done", "ahead", "waiting", "skipped")}
    assert figures == {
        "id": series["id"],
        "instrument_id": "SEM",
        "done": 0,
        "ahead": 3,
        "waiting": 0,
        "skipped": 1,
    }
    assert one["next_start"] == series["dates"][0]["booking"]["start"]
    assert world.get("/series?over=true").json["items"] == []
    assert world.get("/series", who="cleo").json["total"] == 0
    assert world.get("/series?facility=LAB", who="cleo").status_code == 403


def test_dates_are_decided_together(world_on_both: World):
    world = world_on_both
    series = placed(world, instrument_id="XRD")
    path = f"/series/{series['id']}/approvals"
    assert world.post(path, json={"decision": "approve"}, who="cleo").status_code == 403
    odd = {"decision": "approve", "dates": [{"day": day(9), "decision": "later"}]}
    assert world.post(path, json=odd, who="tam").json["errors"] == {"dates": "unknown"}
    wish = {
        "decision": "approve",
        "comment": "Audit",
        "dates": [{"day": day(1), "decision": "reject"}, {"day": day(2), "decision": "later"}],
    }
    answer = world.post(path, json=wish, who="tam")
    assert answer.status_code == 200, answer.text
    assert [one["state"] for one in answer.json["items"]] == ["confirmed", "rejected", "confirmed"]
    now = world.get(f"/series/{series['id']}").json
    assert states(now) == ["confirmed", "rejected", "requested", "confirmed"]
    assert world.post(path, json={"decision": "approve"}, who="tam").status_code == 200
    assert world.post(path, json={"decision": "approve"}, who="tam").status_code == 404

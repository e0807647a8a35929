"""Processes over the API: the earliest route, one booking of it, its move; changeovers and shared utilities."""

from datetime import UTC, datetime

import pytest

from booking.jobs import waitlist
from tests.api.conftest import World, at

STEPS = [
    {"instrument_id": "SEM", "duration": "PT2H"},
    {"instrument_id": "OVEN", "duration": "PT1H", "lag_least": "PT30M", "lag_most": "PT2H"},
]


def order(**more) -> dict:
    return {"steps": STEPS, "after": at(9)} | more


def test_a_process_is_found_booked_and_moved_as_one(world_on_both: World):
    world = world_on_both
    world.book(11, 13, instrument="OVEN", who="cleo")
    found = world.post("/routes", json=order())
    assert found.status_code == 200, found.text
    assert found.json["allowed"] is True
    assert [(one["instrument_id"], one["start"], one["end"]) for one in found.json["items"]] == [
        ("SEM", at(10.5), at(12.5)),
        ("OVEN", at(13), at(14)),
    ]
    assert (found.json["start"], found.json["end"]) == (at(10.5), at(14))
    assert found.json["estimate"]["lines"][0]["amount"] == "1200.00"

    places = [{name: one[name] for name in ("instrument_id", "start")} for one in found.json["items"]]
    key = {"Idempotency-Key": "batch-7"}
    booked = world.post("/routes/bookings", json=order(places=places, purpose="Batch 7"), headers=key)
    assert booked.status_code == 201, booked.text
    assert [one["start"] for one in booked.json["items"]] == [at(10.5), at(13)]
    again = world.post("/routes/bookings", json=order(places=places, purpose="Batch 7"), headers=key)
    assert again.json["id"] == booked.json["id"]

    refused = world.post("/routes/bookings", json=order(places=places), who="ben")
    assert (refused.status_code, refused.json["code"]) == (409, "refused")
    assert {reason["code"] for reason in refused.json["reasons"]} == {"taken"}
    (other,) = refused.json["alternatives"]
    assert other["why"] == "route"
    assert [(one["instrument_id"], one["start"]) for one in other["parts"]] == [
        ("SEM", at(12.5)),
        ("OVEN", at(15)),
    ]

    where = f"/bookings/{booked.json['id']}/move"
    told = world.post(f"{where}/dry-run", json={"after": at(20)}).json
    assert [one["start"] for one in told["items"]] == [at(20), at(22.5)]
    stale = world.post(where, json={"after": at(20)}, headers={"If-Match": '"9"'})
    assert stale.status_code == 412
    moved = world.post(where, json={"after": at(20)}, headers={"If-Match": booked.headers["ETag"]})
    assert moved.status_code == 200, moved.text
    assert (moved.json["id"], moved.json["start"], moved.json["end"]) == (booked.json["id"], at(20), at(23.5))


def test_any_instrument_that_fits_will_do(world: World):
    world.book(9, 12, instrument="SEM", who="cleo")
    steps = [{"q": "microscope", "duration": "PT1H"}]
    (item,) = world.post("/routes", json={"steps": steps, "after": at(9)}).json["items"]
    assert (item["instrument_id"], item["start"]) == ("SEM-2", at(9))


def test_no_route_names_the_step_that_fails(world: World):
    world.book(9, 24, instrument="OVEN", who="cleo")
    told = world.post("/routes", json=order(before=at(20)), headers={"Accept-Language": "en"}).json
    assert (told["allowed"], told["items"]) == (False, [])
    (reason,) = told["reasons"]
    assert (reason["code"], reason["params"]["step"]) == ("no_route", 2)
    assert "Step 2" in reason["message"]
    assert reason["params"]["zone"] == "Asia/Shanghai"
    assert "04:00. Step 2" in reason["message"]  # on the facility's clock
    assert world.post("/routes/bookings", json=order(before=at(20))).status_code == 409


def test_a_process_that_finds_no_route_waits_in_line_and_is_taken_as_one(world_on_both: World):
    world = world_on_both
    taken = world.book(8, 20, instrument="OVEN", who="cleo")
    asked = order(before=at(16))
    assert world.post("/routes", json=asked).json["allowed"] is False
    entry = world.post("/waitlist/routes", json=asked | {"purpose": "Batch 7"})
    assert entry.status_code == 201, entry.text
    assert (entry.json["wish"], entry.json["duration"]) == ("SEM → OVEN", "PT210M")
    assert [(one["instruments"], one["lag_least"]) for one in entry.json["steps"]] == [
        (["SEM"], "PT0M"),
        (["OVEN"], "PT30M"),
    ]
    assert world.post("/waitlist/routes", json=asked).json["id"] == entry.json["id"]
    where = f"/waitlist/{entry.json['id']}"
    waitlist.turn("key", lambda: False, now=datetime.now(UTC))
    why = world.get(where, headers={"Accept-Language": "en"}).json["reasons"]
    assert why[0]["message"] == "No way through all steps is free in your window: step 2 is not reached."
    assert world.get(where, who="ben").status_code == 404
    world.post(f"/bookings/{taken['id']}/cancellation", json={}, who="cleo")
    waitlist.turn("key", lambda: False, now=datetime.now(UTC))
    offer = world.get(where).json["offer"]
    assert (offer["instrument_id"], offer["start"]) == ("SEM", at(9))
    assert offer["following"] == [{"instrument_id": "OVEN", "start": at(11.5), "end": at(12.5)}]
    booked = world.post(f"/offers/{offer['id']}/acceptance", json={})
    assert [one["start"] for one in booked.json["items"]] == [at(9), at(11.5)]


def test_changeovers_and_utilities_are_kept_by_managers(world: World):
    matrix = {"facility": "LAB", "changeovers": [{"before": "milk", "after": "soy", "minutes": 240}]}
    assert world.ask("PUT", "/changeovers", json=matrix).status_code == 403
    assert world.ask("PUT", "/changeovers", json=matrix, who="tam").json == {
        "changeovers": matrix["changeovers"]
    }
    assert world.get("/changeovers", query_string={"facility": "LAB"}, who=None).json == {
        "changeovers": matrix["changeovers"]
    }
    steam = {"name_zh": "蒸汽", "name_en": "Steam", "unit": "kg/h", "capacity": 300}
    put = world.ask("PUT", "/facilities/LAB/utilities/STEAM", json=steam, who="tam")
    assert put.json == {"code": "STEAM", **steam}

    def step(family, amount):
        draws = [{"utility": "STEAM", "amount": amount}]
        return {"instrument_id": "SEM", "duration": "PT1H", "family": family, "draws": draws}

    milk = world.post("/routes/bookings", json={"steps": [step("milk", 200)], "after": at(9)}, who="cleo")
    assert milk.status_code == 201, milk.text
    soy = world.post("/routes", json={"steps": [step("soy", 50)], "after": at(9)}).json
    assert soy["start"] == at(14)
    other = {**step("", 200), "instrument_id": "SEM-2"}
    assert world.post("/routes", json={"steps": [other], "after": at(9)}).json["start"] == at(10)
    assert world.delete("/facilities/LAB/utilities/STEAM", who="tam").status_code == 204
    assert world.post("/routes", json={"steps": [other], "after": at(9)}).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": [{"duration": "PT1H"}]}, "steps.0.instrument_id"),
        ({"steps": [{"instrument_id": "SEM", "q": "sem", "duration": "PT1H"}]}, "steps.0.instrument_id"),
        ({"steps": [{"instrument_id": "SEM", "duration": "PT1M30S"}]}, "steps.0.duration"),
        ({"before": at(8)}, "before"),
    ],
)
def test_nonsense_is_named(world: World, change, field):
    answer = world.post("/routes", json=order(**change))
    assert answer.status_code == 422, answer.text
    assert field in answer.json["errors"]

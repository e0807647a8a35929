"""Rules by REST: set, read, changed, tried and set aside."""

from datetime import date

import pytest

from booking import db
from booking.domain import sheets
from models import Category
from tests.api.conftest import World, at

ENGLISH = {"Accept-Language": "en"}


def test_a_rule_from_its_making_to_its_end(world: World):
    order = {"facility_id": "LAB", "kind": "setting", "name": "longest", "value": 120, "note": "Many wait"}
    made = world.post("/rules", json=order, who="tam")
    assert made.status_code == 201, made.text
    told = made.json
    assert (told["place"], told["place_id"], told["value"], told["valid_to"]) == (
        "facility",
        "LAB",
        120,
        None,
    )

    policy = world.get("/instruments/SEM/policy", who=None).json
    longest = next(line for line in policy["settings"] if line["name"] == "longest")
    assert longest == {
        "name": "longest",
        "value": 120,
        "place": "facility",
        "place_id": "LAB",
        "rule_id": told["id"],
    }
    assert next(line for line in policy["settings"] if line["name"] == "step")["place"] == "sheet"
    assert next(line for line in policy["settings"] if line["name"] == "gap")["place"] == "default"
    assert world.get("/instruments/SEM").json["rules"]["longest_minutes"] == 120

    refused = world.post(
        "/bookings", json={"instrument_id": "SEM", "start": at(9), "end": at(12)}, headers=ENGLISH
    )
    (reason,) = refused.json["reasons"]
    assert (refused.status_code, reason["code"], reason["params"]["at"]) == (409, "too_long", "LAB")
    over = reason["params"]["override"]
    assert (over["role"], over["facilities"]) == ("manager", ["LAB"])
    assert reason["message"].endswith(f"A manager of {over['names'][0]['en']} may make an exception.")

    changed = world.patch(f"/rules/{told['id']}", json={"value": 180}, who="tam")
    assert (changed.status_code, changed.json["value"], changed.json["note"]) == (200, 180, "Many wait")
    world.book(9, 12)
    assert world.delete(f"/rules/{changed.json['id']}", who="tam").status_code == 204
    listed = world.get("/rules?facility_id=LAB").json
    assert listed["total"] == 0  # it had not counted on any day before this one


def test_who_may_set_rules_where(world: World):
    with db.transaction() as session:
        session.add(Category(code="03", name_zh="类"))
    setting = {"kind": "setting", "name": "gap", "value": 60}
    places = {
        "instrument_id": ("SEM", {"tam", "root"}),
        "facility_id": ("LAB", {"tam", "root"}),
        "network_id": ("NET", {"nora", "root"}),
        "category": ("03", {"root"}),
    }
    for name, (code, allowed) in places.items():
        for who in ("ada", "cleo", "tam", "nora", "root"):
            answer = world.post("/rules", json={**setting, name: code}, who=who)
            assert answer.status_code == (201 if who in allowed else 403), (name, who)
    assert world.post("/rules", json={**setting, "facility_id": "LAB"}, who=None).status_code == 401
    made = world.get("/rules?network_id=NET").json["items"][0]["id"]
    assert world.patch(f"/rules/{made}", json={"value": 1}, who="tam").status_code == 403
    assert world.delete(f"/rules/{made}", who="tam").status_code == 403
    assert world.delete("/rules/999999", who="tam").status_code == 404
    assert world.get("/instruments/SECRET/policy", who="ada").status_code == 404


@pytest.mark.parametrize(
    ("order", "errors"),
    [
        ({"kind": "setting", "name": "gap", "value": 1}, {"facility_id": "required"}),
        (
            {"kind": "setting", "name": "gap", "value": 1, "facility_id": "LAB", "network_id": "NET"},
            {"network_id": "unknown"},
        ),
        ({"kind": "setting", "name": "magic", "value": 1, "facility_id": "LAB"}, {"name": "unknown"}),
        (
            {"kind": "setting", "name": "gap", "value": 1, "facility_id": "LAB", "opens": "8h"},
            {"opens": "malformed"},
        ),
        (
            {"kind": "setting", "name": "gap", "value": 1, "facility_id": "LAB", "valid_from": "soon"},
            {"valid_from": "malformed"},
        ),
        (
            {"kind": "quota", "value": 1, "facility_id": "LAB", "party": "person", "measure": "hours"},
            {"period": "required"},
        ),
        ({"kind": "approval", "name": "x", "facility_id": "LAB"}, {"kind": "unknown"}),
    ],
)
def test_rules_without_sense(world: World, order, errors):
    answer = world.post("/rules", json=order, who="tam")
    assert (answer.status_code, answer.json["errors"]) == (422, errors)


def test_a_quota_in_words_and_set_aside(world: World):
    order = {
        "facility_id": "LAB",
        "kind": "quota",
        "party": "person",
        "measure": "hours",
        "period": "rolling",
        "days": 7,
        "value": 180,
        "weekdays": [0, 1, 2, 3, 4, 5, 6],
        "opens": "00:00",
        "closes": "24:00",
    }
    made = world.post("/rules", json=order, who="tam").json
    assert (made["name"], made["weekdays"], made["closes"]) == ("person.hours.rolling", [*range(7)], "24:00")
    world.book(9, 11, who="tam")
    wish = {"instrument_id": "SEM-2", "start": at(12), "end": at(14)}
    verdict = world.post("/bookings/dry-run", json=wish, who="tam", headers=ENGLISH).json
    assert [reason["code"] for reason in verdict["reasons"]] == ["quota_hours"]
    assert verdict["reasons"][0]["message"].startswith("2 h of 3 h used within 7 days, from")
    assert world.post("/bookings", json=wish, who="tam").status_code == 409
    assert world.post("/bookings", json={**wish, "override_reason": "x"}, who="tam").status_code == 422
    over = world.post("/bookings", json={**wish, "override_reason": "Service visit"}, who="tam")
    assert over.status_code == 201
    ben = {**wish, "instrument_id": "TANK", "end": at(16), "override_reason": "Service visit"}
    assert world.post("/bookings", json=ben, who="ben").status_code == 403


def test_working_days_are_read_by_all_and_announced_by_the_administrator(world: World):
    def year() -> tuple[bool, list[str]]:
        found = world.get("/working-days?year=2031", who=None).json
        return found["announced"], [
            f"{one['day']} {one['kind']} {one['name']}".strip() for one in found["items"]
        ]

    body = {
        "days": [
            {"day": "2031-01-01", "kind": "holiday", "name": "元旦"},
            {"day": "2031-01-04", "kind": "working"},
        ]
    }
    for who, status in (("tam", 403), ("nora", 403), ("cleo", 403), (None, 401)):
        assert world.post("/working-days", json=body, who=who).status_code == status
    assert year() == (False, [])
    tried = world.post("/working-days?dry_run=true", json=body, who="root")
    assert tried.json == {"dry_run": True, "turned": 2, "booking_ids": [], "replan_ids": []}
    assert year() == (False, [])
    assert world.post("/working-days?source=No.1", json=body, who="root").json["turned"] == 2
    assert year() == (True, ["2031-01-01 holiday 元旦", "2031-01-04 working"])
    twice = {"days": body["days"] * 2}
    assert world.post("/working-days", json=twice, who="root").json["errors"] == {
        "days.2.day": "duplicate",
        "days.3.day": "duplicate",
    }
    wrong = {"days": [*body["days"], {"day": "2031-02-30", "kind": "feast"}]}
    assert world.post("/working-days", json=wrong, who="root").status_code == 422
    ancient = {"days": [{"day": "0001-01-01", "kind": "rest"}]}
    assert world.post("/working-days", json=ancient, who="root").json["errors"] == {
        "days.0.day": "out_of_range"
    }
    ordinary = {"days": [{"day": "2031-01-04", "kind": "ordinary"}]}
    assert world.post("/working-days", json=ordinary, who="root").json["turned"] == 1
    assert year() == (True, ["2031-01-01 holiday 元旦"])


def test_working_days_come_as_a_sheet(world: World):
    def send(data: bytes, query: str = "", who: str = "root"):
        kind = "application/octet-stream"
        return world.post(f"/working-days/sheet{query}", data=data, content_type=kind, who=who)

    sheet = sheets.write_xlsx(("day", "kind"), [(date(2031, 1, 1), "holiday")], title="2031")
    assert send(sheet, who="tam").status_code == 403
    assert send(sheet, "?dry_run=1").json == {
        "dry_run": True,
        "turned": 1,
        "booking_ids": [],
        "replan_ids": [],
    }
    assert world.get("/working-days?year=2031").json["total"] == 0
    broken = send(b"day,kind\n2031-01-01,holiday\n2031-01-01,feast")
    assert broken.json["errors"] == {"rows.3.kind": "unknown", "rows.3.day": "duplicate"}
    assert send(b"PK").json["errors"] == {"file": "not_a_workbook"}
    assert world.get("/working-days?year=2031").json["total"] == 0
    assert send(sheet).json["turned"] == 1


def test_a_trial_writes_nothing(world: World):
    order = {"facility_id": "LAB", "kind": "setting", "name": "longest", "value": 60}
    answer = world.post("/rules/trial", json=order, who="tam")
    assert answer.status_code == 200, answer.text
    assert (answer.json["tried"], answer.json["refused"], answer.json["items"]) == (0, 0, [])
    assert world.get("/rules?facility_id=LAB").json["total"] == 0
    assert world.post("/rules/trial", json=order, who="nora").status_code == 403
    untried = {**order, "name": "grace"}
    assert world.post("/rules/trial", json=untried, who="tam").json["errors"] == {"name": "not_tried"}

"""Approvals over REST: steps, chemicals, papers, who decides in whose place."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import World, at

SAFETY = {
    "facility_id": "LAB",
    "name": "Safety",
    "data": {"approvers": {"role": "manager"}, "when": [{"condition": "hazardous"}]},
}
ACETONE = {"name": "Acetone", "cas": "67-64-1", "quantity": 2.5, "unit": "L", "hazards": ["hazardous"]}


def ask_for(world: World, **changed):
    answer = world.post("/rules/approvals", json=SAFETY | changed, who="tam")
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_step_is_asked_for_and_passed(world: World):
    ask_for(world)
    ask_for(world, name="Process", data={"approvers": {"people": [world.ids["cleo"]]}, "need": "all"})
    booking = world.book(chemicals=[ACETONE])
    assert booking["state"] == "requested"
    path = f"/bookings/{booking['id']}/approvals"
    steps = world.get(path).json["items"]
    assert [(step["name"], step["state"], step["need"]) for step in steps] == [
        ("Process", "open", "all"),
        ("Safety", "open", "any"),
    ]
    assert steps[1]["conditions"] == [{"condition": "hazardous"}]
    declared = world.get(f"/bookings/{booking['id']}/chemicals", who="cleo").json["items"]
    assert declared == [{**ACETONE, "quantity": "2.5", "permit_number": ""}]
    one = {"decision": "approve", "step_id": steps[0]["id"]}
    assert world.post(path, json=one, who="ben").status_code == 403
    answer = world.post(path, json=one | {"comment": "fine"}, who="cleo")
    assert (answer.status_code, answer.json["state"], answer.headers["ETag"]) == (200, "requested", '"2"')
    again = world.post(path, json=one, who="cleo")
    assert [reason["code"] for reason in again.json["reasons"]] == ["already_decided"]
    stale = world.post(path, json={"decision": "approve"}, who="tam", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert world.post(path, json={"decision": "approve"}, who="tam").json["state"] == "confirmed"
    said = world.get(path).json["items"][0]["approvers"][0]
    assert (said["name"], said["approves"], said["comment"]) == ("Cleo", True, "fine")


def test_a_dry_run_knows_the_chemicals(world: World):
    ask_for(world)
    ask_for(world, name="Permits", data={"permit_for": ["drug_precursor_3"]})
    wish = {"instrument_id": "SEM", "start": at(9), "end": at(10)}
    assert world.post("/bookings/dry-run", json=wish).json["needs_approval"] is False
    assert world.post("/bookings/dry-run", json=wish | {"chemicals": [ACETONE]}).json["needs_approval"]
    precursor = ACETONE | {"hazards": ["drug_precursor_3"]}
    english = {"Accept-Language": "en"}
    refused = world.post("/bookings", json=wish | {"chemicals": [precursor]}, headers=english)
    assert refused.status_code == 409
    (reason,) = refused.json["reasons"]
    assert reason["code"] == "permit_missing"
    assert reason["params"] == {"chemical": "Acetone", "hazards": ["drug_precursor_3"]}
    assert "needs a permit here" in reason["message"]


def test_a_dry_run_foretells_the_steps_and_a_change_that_takes_no_more_asks_for_none(world: World):
    cleo = world.get("/me", who="cleo").json["id"]
    ask_for(world, data=SAFETY["data"] | {"deadline_days": 2})
    long = {"when": [{"condition": "over_minutes", "value": 90}]}
    ask_for(world, name="Process", data={"stage": 2, "approvers": {"people": [cleo]}, **long})
    wish = {"instrument_id": "SEM", "start": at(1), "end": at(3), "chemicals": [ACETONE]}
    told = world.post("/bookings/dry-run", json=wish).json
    safety, process = told["steps"]
    assert safety == {
        "facility_id": "LAB",
        "name": "Safety",
        "stage": 1,
        "need": "any",
        "conditions": [{"condition": "hazardous"}],
        "role": "manager",
        "people": [],
        "deadline_days": 2,
        "on_silence": "expire",
    }
    assert process["people"] == [{"id": cleo, "name": "Cleo"}]
    assert (process["role"], process["stage"], process["deadline_days"]) == (None, 2, None)
    assert process["conditions"] == [{"condition": "over_minutes", "value": 90}]
    booking = world.post("/bookings", json={**wish, "end": at(2), "chemicals": []})
    moved = {"instrument_id": "SEM", "booking_id": booking.json["id"], "start": at(1)}
    ask = lambda **more: world.post("/bookings/dry-run", json=moved | more).json  # noqa: E731 - asks thrice
    shorter, longer = ask(end=at(1.5)), ask(end=at(3))
    assert (shorter["needs_approval"], shorter["steps"]) == (False, [])
    assert [step["name"] for step in longer["steps"]] == ["Process"]
    hazard = ask(end=at(1.5), chemicals=[ACETONE])
    assert [step["name"] for step in hazard["steps"]] == ["Safety"]


def test_chemicals_are_changed_with_the_version_and_repeated_with_the_key(world: World):
    headers = {"Idempotency-Key": "a"}
    wish = {"instrument_id": "SEM", "start": at(9), "end": at(10), "chemicals": [ACETONE]}
    first, again = (world.post("/bookings", json=wish, headers=headers) for _ in range(2))
    assert (first.status_code, again.json["id"]) == (201, first.json["id"])
    path = f"/bookings/{first.json['id']}"
    answer = world.patch(path, json={"chemicals": []}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert world.get(f"{path}/chemicals").json == {"items": []}


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"cas": "67-64-2"}, "chemicals.0.cas", "wrong_cas"),
        ({"quantity": 0}, "chemicals.0.quantity", "too_small"),
        ({"quantity": "NaN"}, "chemicals.0.quantity", "malformed"),
        ({"quantity": -1.6e124}, "chemicals.0.quantity", "too_small"),
        ({"quantity": 1.6e124}, "chemicals.0.quantity", "too_large"),
        ({"quantity": 0.00001}, "chemicals.0.quantity", "malformed"),
        ({"quantity": True}, "chemicals.0.quantity", "malformed"),
        ({"unit": ""}, "chemicals.0.unit", "required"),
        ({"hazards": ["smell"]}, "chemicals.0.hazards.0", "unknown"),
        ({"colour": "red"}, "chemicals.0.colour", "unknown"),
    ],
)
def test_a_wrong_chemical_is_told_at_its_field(world: World, wrong, field, code):
    wish = {"instrument_id": "SEM", "start": at(9), "end": at(10), "chemicals": [ACETONE | wrong]}
    answer = world.post("/bookings", json=wish)
    assert answer.status_code == 422
    assert answer.json["errors"] == {field: code}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"data": {"approvers": {"role": "janitor"}}}, "approvers"),
        ({"data": {"approvers": {"people": ["00000000-0000-4000-8000-000000000000"]}}}, "approvers"),
        ({"data": {}}, "approvers"),
        ({"name": ""}, "name"),
        ({"valid_from": "2020-01-01"}, "valid_from"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(world: World, wrong, field):
    answer = world.post("/rules/approvals", json=SAFETY | wrong, who="tam")
    assert answer.status_code == 422
    assert field in answer.json["errors"]
    assert world.post("/rules/approvals", json=SAFETY, who="ada").status_code == 403


def test_papers_come_and_go_as_they_are(world: World):
    path = f"/bookings/{world.book()['id']}/papers"
    query = {"kind": "sds", "title": "SDS acetone"}
    pdf = {"data": b"%PDF-1.7 x", "headers": {"Content-Type": "application/pdf"}}
    made = world.post(path, query_string=query, **pdf)
    assert made.status_code == 201
    assert (made.json["media_type"], made.json["kind"]) == ("application/pdf", "sds")
    found = world.get(f"{path}/{made.json['id']}", who="tam")
    assert (found.data, found.headers["Content-Type"]) == (b"%PDF-1.7 x", "application/pdf")
    assert found.headers["Content-Disposition"].startswith("attachment")
    assert world.get(path).json["items"] == [made.json]
    for who, status in (("cleo", 404), ("ben", 404)):
        assert world.get(path, who=who).status_code == status
        assert world.post(path, query_string=query, who=who, **pdf).status_code == status
    number = world.post(path, query_string={"kind": "permit", "title": "Permit", "number": "7"})
    assert (number.status_code, number.json["sha256"]) == (201, None)
    assert world.post(path, query_string=query).status_code == 422
    html = {"data": b"<html>", "headers": {"Content-Type": "application/octet-stream"}}
    assert world.post(path, query_string=query, **html).json["errors"].keys() == {"file"}
    plain = {"data": b"x", "headers": {"Content-Type": "text/plain"}}
    assert world.post(path, query_string=query, **plain).status_code == 415
    assert world.delete(f"{path}/{made.json['id']}").status_code == 204
    assert world.get(f"{path}/{made.json['id']}").status_code == 404


def test_a_colleague_is_named_and_called_back(world: World):
    now = datetime.now(UTC)
    span = {"start": now.isoformat(), "end": (now + timedelta(days=2)).isoformat()}
    stranger = world.post("/delegations", json={"delegate": "cleo@example.org", **span}, who="ada")
    assert stranger.status_code == 422
    made = world.post("/delegations", json={"delegate": "ben@example.org", **span}, who="ada")
    assert (made.status_code, made.json["name"]) == (201, "Ben")
    assert world.get("/delegations", who="ada").json["items"] == [made.json]
    assert world.delete(f"/delegations/{made.json['id']}", who="ben").status_code == 404
    assert world.delete(f"/delegations/{made.json['id']}", who="ada").status_code == 204
    assert world.get("/delegations", who="ada").json == {"items": []}

"""Qualifications over the API: from the definition to the grant, and what a booking without it is told."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import World, at
from tests.api.test_transfers import at_once

LASER = {"id": "LASER", "facility_id": "LAB", "name_zh": "激光安全", "name_en": "Laser safety", "months": 12}


@pytest.fixture
def laser(world: World) -> World:
    answer = world.post("/qualifications", json=LASER, who="tam")
    assert answer.status_code == 201, answer.text
    assert answer.json == LASER | {"about_zh": "", "about_en": ""}
    return world


def test_from_the_definition_to_the_grant(laser: World):
    need = laser.post("/qualifications/LASER/needs", json={"instrument_id": "SEM"}, who="tam")
    assert (need.status_code, need.json["mode"]) == (201, "before_booking")
    wish = {"instrument_id": "SEM", "start": at(9), "end": at(10)}
    refused = laser.post("/bookings", json=wish)
    assert refused.status_code == 409
    (reason,) = refused.json["reasons"]
    assert (reason["code"], reason["overridable"]) == ("qualification_missing", False)
    assert reason["params"]["qualification"] == "LASER"
    session = {"start": at(1), "end": at(2), "seats": 1, "place": "Room 2"}
    training = laser.post("/qualifications/LASER/sessions", json=session, who="tam").json
    assert (training["free"], training["trainer"]) == (1, "Tam")
    asked = laser.post("/certificates", json={"qualification_id": "LASER", "session_id": training["id"]})
    assert (asked.status_code, asked.json["state"]) == (201, "scheduled")
    (found,) = laser.get("/qualifications/LASER/sessions").json["items"]
    assert found["free"] == 0
    listed = laser.get(
        "/certificates", query_string={"facility": "LAB", "state": "scheduled"}, who="tam"
    ).json
    assert [one["person"]["name"] for one in listed["items"]] == ["Ada"]
    decided = laser.post(
        f"/certificates/{asked.json['id']}/decision", json={"decision": "grant"}, who="tam"
    ).json
    assert decided["state"] == "granted"
    assert decided["expires_on"] > decided["granted_on"]
    assert laser.get("/certificates").json["items"] == [decided]
    booked = laser.post("/bookings", json=wish)
    assert booked.status_code == 201
    lacks = f"/bookings/{booked.json['id']}/conditions"
    assert laser.get(lacks).json == {"items": []}
    assert laser.get(lacks, who="cleo").status_code == 404
    revoked = {"decision": "revoke", "reason": "fire"}
    assert (
        laser.post(f"/certificates/{asked.json['id']}/decision", json=revoked, who="tam").json["state"]
        == "revoked"
    )
    (reason,) = laser.get(lacks).json["items"]
    assert (reason["code"], reason["params"]["standing"]) == ("qualification_missing", "revoked")
    assert laser.delete(f"/qualifications/LASER/needs/{need.json['id']}", who="tam").status_code == 204
    assert laser.get("/qualifications/LASER/needs").json["total"] == 0


def test_a_booking_on_condition_says_so(laser: World):
    mode = {"instrument_id": "SEM", "mode": "before_start"}
    laser.post("/qualifications/LASER/needs", json=mode, who="tam")
    verdict = laser.post(
        "/bookings/dry-run", json={"instrument_id": "SEM", "start": at(9), "end": at(10)}
    ).json
    assert verdict["allowed"]
    assert [one["code"] for one in verdict["conditions"]] == ["training_before_start"]


def test_staff_grant_at_once_and_nobody_else_learns_who_has_an_account(laser: World):
    award = {"qualification_id": "LASER", "person": "ben@example.org"}
    granted = laser.post("/certificates", json=award, who="tam")
    assert (granted.status_code, granted.json["person"]["name"]) == (201, "Ben")
    for person in ("ben@example.org", "nobody@example.org"):
        assert laser.post("/certificates", json=award | {"person": person}, who="ada").status_code == 403
    unknown = laser.post("/certificates", json=award | {"person": "nobody@example.org"}, who="tam")
    assert unknown.json["errors"] == {"person": "nobody"}
    hers = granted.json["id"]
    assert laser.get(f"/certificates/{hers}", who="cleo").status_code == 404
    assert laser.get("/certificates", query_string={"facility": "LAB"}, who="cleo").status_code == 403
    twice = laser.post("/certificates", json={"qualification_id": "LASER"}, who="ben")
    assert [one["code"] for one in twice.json["reasons"]] == ["already_qualified"]


def test_what_is_asked_for_can_be_taken_back(laser: World):
    asked = laser.post("/certificates", json={"qualification_id": "LASER", "note": "thesis"}).json
    back = laser.post(f"/certificates/{asked['id']}/withdrawal", json={})
    assert back.json["state"] == "withdrawn"
    again = laser.post(f"/certificates/{asked['id']}/withdrawal", json={})
    assert [one["code"] for one in again.json["reasons"]] == ["certificate_decided"]


def test_a_session_is_called_off_and_a_qualification_retired(laser: World):
    soon = datetime.now(UTC) + timedelta(days=2)
    times = {"start": soon.isoformat(), "end": (soon + timedelta(hours=1)).isoformat(), "seats": 2}
    training = laser.post("/qualifications/LASER/sessions", json=times, who="tam").json
    asked = laser.post("/certificates", json={"qualification_id": "LASER", "session_id": training["id"]}).json
    assert laser.delete(f"/training-sessions/{training['id']}", who="tam").status_code == 204
    assert laser.delete(f"/training-sessions/{training['id']}", who="tam").status_code == 404
    assert laser.get(f"/certificates/{asked['id']}").json["state"] == "requested"
    renamed = {"name_zh": "激光", "months": None}
    assert laser.ask("PUT", "/qualifications/LASER", json=renamed, who="tam").json["months"] is None
    assert laser.delete("/qualifications/LASER", who="tam").status_code == 204
    assert laser.get("/qualifications").json["total"] == 0


def test_dates_and_figures_that_make_no_sense_are_told(laser: World):
    for body, errors in (
        ({"granted_on": "soon"}, {"granted_on": "malformed"}),
        ({"granted_on": "2999-01-01"}, {"granted_on": "out_of_range"}),
        ({"expires_on": "2020-01-01"}, {"expires_on": "inverted"}),
    ):
        award = {"qualification_id": "LASER", "person": "ben@example.org"} | body
        assert laser.post("/certificates", json=award, who="tam").json["errors"] == errors
    assert laser.post("/qualifications", json=LASER | {"id": "X", "months": 0}, who="tam").json["errors"] == {
        "months": "too_small"
    }


@pytest.mark.parametrize("round_", range(3))
def test_the_last_seat_is_taken_once_by_people_at_the_same_moment(world_on_both: World, round_: int):
    world = world_on_both
    world.post("/qualifications", json=LASER, who="tam")
    times = {"start": at(1 + round_), "end": at(2 + round_), "seats": 1}
    training = world.post("/qualifications/LASER/sessions", json=times, who="tam").json["id"]
    wish = {"qualification_id": "LASER", "session_id": training}
    names = ("ada", "ben", "cleo", "ada")
    answers = at_once(
        *(lambda name=name: world.post("/certificates", json=wish, who=name).status_code for name in names)
    )
    assert Counter(answers) == {201: 1, 409: 3}
    seats = world.get("/qualifications/LASER/sessions").json["items"]
    assert [one["free"] for one in seats] == [0]


def test_asked_for_twice_at_the_same_moment_it_is_asked_for_once(world_on_both: World):
    world = world_on_both
    world.post("/qualifications", json=LASER, who="tam")
    wish = {"qualification_id": "LASER"}
    answers = at_once(*[lambda: world.post("/certificates", json=wish).status_code] * 4)
    assert Counter(answers) == {201: 1, 409: 3}
    assert world.get("/certificates").json["total"] == 1

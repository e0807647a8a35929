"""Holds over the API."""

from datetime import UTC, datetime

import pytest

from tests.api.conftest import World, at


@pytest.fixture
def wish() -> dict:
    return {"instrument_id": "SEM", "start": at(9), "end": at(10)}


def test_a_hold_keeps_time_for_its_maker(world_on_both: World, wish):
    world = world_on_both
    answer = world.post("/holds", json=wish)
    assert answer.status_code == 201
    left = datetime.fromisoformat(answer.json["expires_at"]) - datetime.now(UTC)
    assert 290 < left.total_seconds() <= 300
    refused = world.post("/bookings", json=wish, who="cleo")
    assert (refused.status_code, [one["code"] for one in refused.json["reasons"]]) == (409, ["taken"])
    bars = world.get(
        "/instruments/SEM/occupations", query_string={"from": at(0), "to": at(24)}, who="cleo"
    ).json
    assert [(bar["kind"], bar["mine"], bar["title"]) for bar in bars["occupations"]] == [
        ("hold", False, None)
    ]
    assert world.post("/bookings/dry-run", json=wish).json["allowed"]
    assert world.post("/bookings", json=wish).status_code == 201


def test_a_hold_is_renewed_once_and_released(world: World, wish):
    made = world.post("/holds", json=wish).json
    assert made["renewable"]
    where = f"/holds/{made['id']}"
    assert world.post(f"{where}/renewal", who="cleo").status_code == 404
    assert not world.post(f"{where}/renewal").json["renewable"]
    again = world.post(f"{where}/renewal")
    assert (again.status_code, again.json["reasons"][0]["code"]) == (409, "hold_renewed")
    assert world.delete(where, who="cleo").status_code == 404
    assert world.delete(where).status_code == 204
    assert world.delete(where).status_code == 404
    assert world.post("/bookings", json=wish, who="cleo").status_code == 201


def test_what_cannot_be_booked_cannot_be_held(world: World, wish):
    world.book()
    answer = world.post("/holds", json=wish, who="cleo")
    assert answer.status_code == 409
    assert [one["code"] for one in answer.json["reasons"]] == ["taken"]
    assert world.post("/holds", json=wish | {"instrument_id": "SECRET"}).status_code == 404
    assert world.post("/holds", json=wish | {"color": "red"}).status_code == 422
    assert world.post("/holds", json=wish, who="reader").status_code == 403
    assert world.post("/holds", json=wish, who=None).status_code == 401


def test_a_change_can_be_held_too(world: World, wish):
    booking = world.book()
    moved = {**wish, "start": at(9.5), "end": at(11), "booking_id": booking["id"]}
    assert world.post("/holds", json=moved, who="cleo").status_code == 404
    assert world.post("/holds", json=moved).status_code == 201
    taken = world.post("/bookings", json={**wish, "start": at(10), "end": at(11)}, who="cleo")
    assert taken.status_code == 409
    times = {"start": at(9.5), "end": at(11)}
    changed = world.patch(f"/bookings/{booking['id']}", json=times, headers={"If-Match": "*"})
    assert changed.status_code == 200

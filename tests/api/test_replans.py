"""Replans over the API: repairs looked for by a process of its own, people asked, and their answers."""

from uuid import UUID

from booking.config import Settings
from booking.jobs import resolve
from models import Booking
from tests.api.conftest import World, at


def closed(world: World, start: float = 8, end: float = 12) -> str:
    body = {
        "instrument_id": "SEM",
        "start": at(start),
        "end": at(end),
        "kind": "breakdown",
        "reason": "Vacuum pump",
        "imposed": True,
    }
    answer = world.post("/facilities/LAB/closures", json=body, who="tam")
    assert answer.status_code == 201, answer.text
    return answer.json["id"]


def repaired(world: World) -> dict:
    begun = world.post(f"/closures/{closed(world)}/replan", who="tam")
    assert begun.status_code == 201, begun.text
    assert begun.json["run"]["state"] == "queued"
    resolve.run(Settings(), lambda: False)
    return world.get(f"/replans/{begun.json['id']}", who="tam").json


def test_from_the_outage_to_the_other_time(world_on_both: World):
    world = world_on_both
    booking = world.book(9, 10)
    other = world.book(12, 14, who="cleo")
    row = repaired(world)
    assert row["run"]["state"] == "done"
    assert 1 <= len(row["repairs"]) <= 3
    assert row["repairs"][0]["cost"] == min(one["cost"] for one in row["repairs"])
    assert {change["booking_id"] for one in row["repairs"] for change in one["changes"]} == {booking["id"]}
    sent = world.post(f"/replans/{row['id']}/proposals", json={"repair": 0}, who="tam").json
    (proposal,) = sent["proposals"]
    assert (proposal["state"], proposal["booking_id"]) == ("open", booking["id"])
    assert proposal["start"] not in {at(9), at(12)}
    (mine,) = world.get("/proposals").json["items"]
    assert mine["id"] == proposal["id"]
    taken = {"instrument_id": proposal["instrument_id"], "start": proposal["start"], "end": proposal["end"]}
    assert world.post("/bookings", json=taken, who="cleo").status_code == 409
    where = f"/proposals/{proposal['id']}"
    assert [world.get(where, who=who).status_code for who in ("cleo", "tam")] == [404, 404]
    assert world.post(f"{where}/answer", json={"answer": "accept"}, who="cleo").status_code == 404
    answered = world.post(f"{where}/answer", json={"answer": "accept"})
    assert answered.json["state"] == "accepted"
    moved = world.get(f"/bookings/{booking['id']}").json
    assert (moved["start"], moved["state"]) == (proposal["start"], "confirmed")
    assert world.get(f"/bookings/{other['id']}", who="cleo").json["start"] == at(12)
    assert world.get(f"/replans/{row['id']}", who="tam").json["state"] == "over"


def test_given_up_it_is_free_of_charge_and_said_twice_it_is_said_once(world: World):
    booking = world.book(9, 10)
    row = repaired(world)
    sent = world.post(f"/replans/{row['id']}/proposals", json={"repair": 0}, who="tam").json
    where = f"/proposals/{sent['proposals'][0]['id']}/answer"
    for _ in range(2):
        assert world.post(where, json={"answer": "wait"}).json["state"] == "waiting"
    assert world.get(f"/bookings/{booking['id']}").json["state"] == "cancelled"
    assert world.post(where, json={"answer": "accept"}).status_code == 409
    assert world.post(where, json={"answer": "perhaps"}).status_code == 422


def test_nothing_is_asked_twice_and_what_is_taken_back_is_free(world: World):
    world.book(9, 10)
    row = repaired(world)
    where = f"/replans/{row['id']}/proposals"
    assert world.post(where, json={"repair": 7}, who="tam").status_code == 409
    assert world.post(where, json={"repair": 0}).status_code == 403
    assert world.post(where, json={"repair": 0}, who="tam").status_code == 201
    assert world.post(where, json={"repair": 0}, who="tam").status_code == 409
    back = world.delete(where, who="tam").json
    assert [one["state"] for one in back["proposals"]] == ["withdrawn"]
    assert world.get("/replans", query_string={"facility": "LAB"}, who="tam").json["total"] == 1
    assert world.get("/replans", query_string={"facility": "LAB"}).status_code == 403


def test_a_closure_that_meets_nothing_needs_no_repair(world: World):
    answer = world.post(f"/closures/{closed(world)}/replan", who="tam")
    assert answer.status_code == 409
    assert [reason["code"] for reason in answer.json["reasons"]] == ["nothing_displaced"]


def test_who_agreed_to_make_room_is_the_only_neighbour_that_moves(world_on_both: World):
    world = world_on_both
    hit = world.book(9, 10)
    willing = world.book(13, 14, who="cleo")
    with world.session() as session:
        session.get_one(Booking, UUID(willing["id"])).may_move = True
    row = repaired(world)
    for repair in row["repairs"]:
        assert {one["booking_id"] for one in repair["changes"] if one["hit"]} == {hit["id"]}
        assert {one["booking_id"] for one in repair["changes"] if not one["hit"]} <= {willing["id"]}

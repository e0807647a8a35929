"""Rounds over the API: wished, solved by a process of its own, published, confirmed."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from booking.config import Settings
from booking.jobs import resolve
from models import Organisation
from tests.api.conftest import DAY, World, at

NOW = datetime.now(UTC)


def terms(**more) -> dict:
    return {
        "name": "Spring",
        "first_day": (DAY + timedelta(days=1)).date().isoformat(),
        "last_day": (DAY + timedelta(days=7)).date().isoformat(),
        "opens_at": (NOW - timedelta(hours=1)).isoformat(),
        "closes_at": (NOW + timedelta(days=2)).isoformat(),
        "reserve_percent": 0,
        **more,
    }


def opened(world: World, **more) -> str:
    answer = world.post("/rounds", json=terms(facility="LAB", **more), who="tam")
    assert answer.status_code == 201, answer.text
    return answer.json["id"]


def wish(world: World, row: str, who: str = "ada", **more):
    asked = {"instruments": ["SEM"], "duration": "PT2H", "start": at(25), "end": at(27), **more}
    return world.post(f"/rounds/{row}/wishes", json=asked, who=who)


def test_from_the_wish_to_the_booking(world_on_both: World):
    world = world_on_both
    row = opened(world, shares=[{"organisation_kind": "enterprise", "region": "450000", "floor_minutes": 60}])
    assert world.get(f"/rounds/{row}").json["shares"][0]["region"] == "450000"
    with world.session() as session:
        session.scalars(select(Organisation).where(Organisation.code == "CO")).one().region_code = "450100"
    first, second = wish(world, row, purpose="Films"), wish(world, row, "cleo")
    assert [first.status_code, second.status_code] == [201, 201]
    assert world.post(f"/rounds/{row}/actions", json={"action": "close"}, who="tam").json["state"] == "closed"
    asked = world.post(f"/rounds/{row}/runs", json={"seconds": 5, "seed": 3}, who="tam")
    assert (asked.status_code, asked.json["state"]) == (202, "queued")
    resolve.run(Settings(), lambda: False)
    (run,) = world.get(f"/rounds/{row}/runs", who="tam").json["items"]
    assert (run["state"], run["served"], run["share"]) == ("done", 1, 100)
    # The promise of an hour to companies outweighs who came first.
    assert [place["wish_id"] for place in run["places"]] == [second.json["id"]]
    assert run["objective"] <= run["bound"]
    published = world.ask("PUT", f"/rounds/{row}/draft", json={"run_id": run["id"]}, who="tam")
    assert published.json["state"] == "published"
    (mine,) = world.get(f"/rounds/{row}/wishes", who="cleo").json["items"]
    assert mine["place"] == {"instrument_id": "SEM", "start": at(25), "end": at(27), "following": []}
    confirmed = world.post(f"/rounds/{row}/confirmation", who="tam")
    assert (confirmed.status_code, confirmed.json["unserved"]) == (201, 1)
    (booking,) = confirmed.json["bookings"]
    assert world.get(f"/bookings/{booking}", who="cleo").json["state"] == "confirmed"
    waits = world.get("/waitlist", who="ada").json["items"]
    assert [one["purpose"] for one in waits] == ["Films"]


def test_a_wish_is_seen_by_its_owner_and_the_staff(world: World):
    row = opened(world)
    made = wish(world, row)
    where = made.headers["Location"].removeprefix("/api/v1")
    assert [world.get(where, who=who).status_code for who in ("ada", "tam", "cleo")] == [200, 200, 404]
    assert world.get(f"/rounds/{row}/wishes", who="cleo").json["total"] == 0
    assert world.delete(where, who="cleo").status_code == 404
    assert world.delete(where).status_code == 204
    assert world.delete(where).status_code == 204


def test_what_is_settled_is_told_with_the_wish(world: World):
    row = opened(world)
    where = "/wishes/" + wish(world, row).json["id"]
    pin = {"instrument_id": "SEM", "start": at(25), "reason": "The sample is fresh"}
    assert world.ask("PUT", f"{where}/pin", json=pin).status_code == 403
    told = world.ask("PUT", f"{where}/pin", json=pin, who="tam")
    assert told.json["pin"] == {"kind": "place", "following": [], **pin}
    outside = world.ask("PUT", f"{where}/pin", json=pin | {"start": at(26)}, who="tam")
    assert (outside.status_code, outside.json["errors"]) == (422, {"start": "outside_window"})
    assert world.ask("DELETE", f"{where}/pin", who="tam").json["pin"] is None
    ranked = world.patch(where, json={"priority": 4, "reason": "National project"}, who="tam")
    assert ranked.json["priority"] == 4


def test_terms_that_make_no_sense_are_told_by_field(world: World):
    wrong = terms(facility="LAB", last_day="2026-02-30", cap_minutes=1, budget="1.001")
    answer = world.post("/rounds", json=wrong, who="tam")
    assert answer.status_code == 422
    assert answer.json["errors"] == {"last_day": "malformed", "cap_minutes": "too_small"}
    late = world.post("/rounds", json=terms(facility="LAB", budget="1.001"), who="tam")
    assert late.json["errors"] == {"budget": "malformed"}
    assert world.post("/rounds", json=terms(facility="LAB")).status_code == 403


def test_a_round_is_amended_until_its_draft_is_published(world: World):
    row = opened(world)
    again = world.ask("PUT", f"/rounds/{row}", json=terms(name="Summer", budget="5000.50"), who="tam")
    assert (again.json["name"], again.json["budget"], again.json["version"]) == ("Summer", "5000.50", 2)
    assert world.get("/rounds", who="cleo").json["items"][0]["name"] == "Summer"
    assert again.json["weights"]["floor_points"] == 1000
    weighed = terms(name="Summer", weights={"floor_points": 2500, "fair_percent": 100})
    again = world.ask("PUT", f"/rounds/{row}", json=weighed, who="tam")
    assert again.json["weights"] == {
        "floor_points": 2500,
        "priority_factor": 2,
        "late_percent": 10,
        "rank_percent": 2,
        "fair_percent": 100,
    }
    wrong = terms(weights={"priority_factor": 6})
    answer = world.ask("PUT", f"/rounds/{row}", json=wrong, who="tam")
    assert answer.json["errors"] == {"weights.priority_factor": "too_large"}
    assert world.get("/rounds", who=None).status_code == 401
    for action, status in (("publish", 422), ("reopen", 409), ("cancel", 200), ("close", 409)):
        answer = world.post(f"/rounds/{row}/actions", json={"action": action}, who="tam")
        assert answer.status_code == status, action


def test_a_process_is_wished_for_allotted_and_booked_as_one(world_on_both: World):
    world = world_on_both
    row = opened(world)
    step = {"instruments": ["SEM-2"], "duration": "PT3H", "lag_least": "PT30M", "lag_most": "PT1H"}
    wrong = wish(world, row, start=at(24), end=at(36), following=[step | {"duration": "PT7M"}])
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["following.0.minutes"])
    made = wish(world, row, start=at(24), end=at(36), following=[step])
    assert made.status_code == 201, made.text
    assert made.json["following"] == [
        {"instruments": ["SEM-2"], "duration": "PT180M", "lag_least": "PT30M", "lag_most": "PT60M"}
    ]
    world.post(f"/rounds/{row}/actions", json={"action": "close"}, who="tam")
    run = world.post(f"/rounds/{row}/runs", json={"seconds": 5}, who="tam").json
    resolve.run(Settings(), lambda: False)
    (found,) = world.get(f"/rounds/{row}/runs", who="tam").json["items"]
    assert [(one["step"], one["instrument_id"]) for one in found["places"]] == [(0, "SEM"), (1, "SEM-2")]
    first, second = found["places"]
    pin = {"instrument_id": "SEM", "start": first["start"], "reason": "A visit"}
    where = f"/wishes/{made.json['id']}/pin"
    assert world.ask("PUT", where, json=pin, who="tam").status_code == 422
    steps = [{"instrument_id": "SEM-2", "start": second["start"]}]
    told = world.ask("PUT", where, json=pin | {"following": steps}, who="tam").json
    assert told["pin"]["following"] == steps
    world.ask("PUT", f"/rounds/{row}/draft", json={"run_id": run["id"]}, who="tam")
    (mine,) = world.get(f"/rounds/{row}/wishes").json["items"]
    assert [one["instrument_id"] for one in mine["place"]["following"]] == ["SEM-2"]
    (booking,) = world.post(f"/rounds/{row}/confirmation", who="tam").json["bookings"]
    items = world.get(f"/bookings/{booking}").json["items"]
    assert [(one["instrument_id"], one["start"]) for one in items] == [
        ("SEM", first["start"]),
        ("SEM-2", second["start"]),
    ]

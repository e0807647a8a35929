"""Standby over the API: the odds, the place, being there, and the facility's list."""

from datetime import UTC, datetime, timedelta

from booking.jobs import attendance
from booking.jobs import waitlist as job
from models import Facility, Instrument
from tests.api.conftest import World, at
from tests.services.test_policies import make_rule


def at_noon(world: World) -> str:
    """Keep a standby list at SEM's facility, for whom it is noon; give the day."""
    now = datetime.now(UTC)
    ahead = 12 - now.hour
    with world.session() as session:
        sem = session.query(Instrument).filter_by(code="SEM").one()
        place = session.get_one(Facility, sem.facility_id)
        place.zone = f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
        make_rule(session, "standby", 1, facility_id=place.id)
    return (now + timedelta(hours=ahead)).date().isoformat()


def test_from_the_odds_to_the_booking(world_on_both: World):
    world = world_on_both
    path, day = "/instruments/SEM/standby", at_noon(world)
    seen = world.get(path, who=None).json
    assert (seen["day"], seen["offered"], seen["free"], seen["odds"], seen["ahead"]) == (
        day,
        True,
        True,
        None,
        0,
    )
    assert seen["history"]["bookings"] == 0
    wish = {"day": day, "at_least": "PT30M", "at_most": "PT2H"}
    wrong = world.post(path, json=wish | {"at_most": "PT10M"}, who="ben")
    assert (wrong.status_code, wrong.json["errors"]) == (422, {"at_most": "out_of_range"})
    made = world.post(path, json=wish, who="ben")
    assert made.status_code == 201
    assert made.json["standby"] == {"at_most": "PT120M", "lead_minutes": 0, "here_since": None}
    where = made.headers["Location"].removeprefix("/api/v1")
    assert world.post(path, json=wish, who="ben").json["id"] == made.json["id"]
    assert world.ask("PUT", f"{where}/presence", json={"here": True}, who="cleo").status_code == 404
    there = world.ask("PUT", f"{where}/presence", json={"here": True}, who="ben").json
    assert there["standby"]["here_since"] is not None
    now = datetime.now(UTC)
    attendance.keep(now)
    job.turn("the key", lambda: False, now=now)
    offer = world.get(where, who="ben").json["offer"]
    taken = world.post(f"/offers/{offer['id']}/acceptance", who="ben")
    assert (taken.status_code, taken.json["start"]) == (201, offer["start"])


def test_the_list_of_a_facility_is_for_its_staff(world: World):
    day = at_noon(world)
    world.post(
        "/instruments/SEM/standby",
        json={"day": day, "at_least": "PT30M", "at_most": "PT1H", "lead_minutes": 30},
        who="ben",
    )
    with world.session() as session:
        facility = session.get_one(
            Facility, session.query(Instrument).filter_by(code="SEM").one().facility_id
        )
        code = facility.code
    assert world.get(f"/facilities/{code}/standby", who="cleo").status_code == 403
    told = world.get(f"/facilities/{code}/standby", who="root").json
    assert [one["standby"]["lead_minutes"] for one in told["items"]] == [30]
    assert told["figures"] == {
        "days": 90,
        "missed_hours": 0.0,
        "refilled_hours": 0.0,
        "called": 0,
        "served": 0,
    }


def test_no_list_no_place(world: World):
    refused = world.post(
        "/instruments/SEM/standby",
        json={"day": at(0)[:10], "at_least": "PT30M", "at_most": "PT1H"},
        who="ben",
    )
    assert (refused.status_code, refused.json["reasons"][0]["code"]) == (409, "no_standby")

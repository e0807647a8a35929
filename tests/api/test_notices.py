"""Notices over the API: the inbox, and of what one hears."""

from datetime import UTC, datetime

import pytest

from booking.services import notifications
from models import Person


@pytest.fixture
def told(world):
    """Ada was told of a booking that Tam has made for her; she reads English."""
    with world.session() as session:
        session.query(Person).update({"locale": "en"})
    world.book(9, 10, who="tam", booked_for="ada@example.org")
    with world.session() as session:
        notifications.dispatch(session, remind=(), now=datetime.now(UTC))
    return world


def test_the_inbox_is_listed_and_marked(told):
    found = told.get("/notices").json
    (notice,) = found["items"]
    assert (found["total"], found["unread"], found["next"]) == (1, 1, None)
    assert notice["kind"] == "booking.placed"
    assert notice["topic"] == "bookings"
    assert notice["subject"].startswith("Booked: Scanning electron microscope")
    assert notice["url"].endswith(f"/bookings/{notice['booking_id']}")
    assert (notice["read_at"], notice["settled"]) == (None, False)
    answer = told.post(f"/notices/{notice['id']}/reading", json={})
    assert answer.status_code == 200
    assert answer.json["read_at"]
    assert told.post(f"/notices/{notice['id']}/reading", json={}).json["read_at"] == answer.json["read_at"]
    assert told.get("/notices?unread=true").json["items"] == []


def test_all_are_marked_up_to_a_time(told):
    assert told.post("/notices/reading", json={"until": "2020-01-01T00:00:00Z"}).status_code == 204
    assert told.get("/notices").json["unread"] == 1
    assert told.post("/notices/reading", json={}).status_code == 204
    assert told.get("/notices").json["unread"] == 0


def test_nobody_reads_what_another_was_told(told):
    (notice,) = told.get("/notices").json["items"]
    assert told.get("/notices", who="root").json["total"] == 0
    assert told.post(f"/notices/{notice['id']}/reading", who="root", json={}).status_code == 404
    assert told.get("/notices", who=None).status_code == 401
    assert told.post(f"/notices/{notice['id']}/reading", who="reader", json={}).status_code == 403


def test_a_choice_is_kept_and_the_rest_stays(world):
    before = world.get("/notices/wishes").json
    assert before["quiet"] is None
    assert {wish["channel"] for wish in before["wishes"]} == {"mail", "inbox", "invitation"}
    mailed = {"topic": "bookings", "channel": "invitation", "pace": "never"}
    assert [wish for wish in before["wishes"] if wish["pace"] != "at_once"] == [mailed]
    wanted = {
        "wishes": [{"topic": "bookings", "channel": "mail", "pace": "weekly"}],
        "quiet": {"begins": 1320, "ends": 420},
    }
    after = world.ask("PUT", "/notices/wishes", json=wanted)
    assert after.status_code == 200
    assert after.json == world.get("/notices/wishes").json
    assert after.json["quiet"] == {"begins": 1320, "ends": 420}
    changed = [wish for wish in after.json["wishes"] if wish not in before["wishes"]]
    assert changed == wanted["wishes"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"wishes": []}, "quiet"),
        (
            {"wishes": [{"topic": "account", "channel": "mail", "pace": "never"}], "quiet": None},
            "wishes.0.topic",
        ),
        (
            {"wishes": [{"topic": "bookings", "channel": "inbox", "pace": "daily"}], "quiet": None},
            "bookings-inbox",
        ),
        ({"wishes": [{"topic": "x", "channel": "mail", "pace": "daily"}], "quiet": None}, "wishes.0.topic"),
        ({"wishes": [], "quiet": {"begins": 60, "ends": 60}}, "quiet_ends"),
        ({"wishes": [], "quiet": {"begins": 60, "ends": 1440}}, "quiet.ends"),
    ],
)
def test_what_makes_no_sense_is_told_by_field(world, body, field):
    answer = world.ask("PUT", "/notices/wishes", json=body)
    assert answer.status_code == 422
    assert field in answer.json["errors"]

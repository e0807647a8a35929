"""Calendars elsewhere over the API: looked into, subscribed to, blocked by, and left."""

from datetime import UTC, datetime

import pytest

from booking.config import Settings
from booking.gateways import way_out
from booking.jobs import pull_calendars
from tests.api.conftest import World, at
from tests.jobs.calendar_server import PUBLIC, calendar_server, ok

WISH = {
    "name": "Plan",
    "url": "https://calendars.example.org/private-9f2c/basic.ics",
    "means": "maintenance",
    "instruments": ["SEM"],
}


def calendar(start: float, end: float) -> bytes:
    first, last = (datetime.fromisoformat(at(hour)).astimezone(UTC) for hour in (start, end))
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\nSUMMARY:Pump service\r\n"
        f"DTSTART:{first:%Y%m%dT%H%M%SZ}\r\nDTEND:{last:%Y%m%dT%H%M%SZ}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


@pytest.fixture
def server(monkeypatch):
    """The world outside: every name leads to it."""
    with calendar_server() as found:
        monkeypatch.setattr(way_out.Pinned, "begin", lambda _self: None)
        monkeypatch.setattr(way_out, "_resolve", lambda _host, _port: [PUBLIC])
        monkeypatch.setattr(way_out, "_connect", found.connect)
        found.answer = lambda _p, _h: [ok(calendar(10, 12))]
        yield found


def test_from_a_look_to_a_replan(world_on_both: World, server):
    world = world_on_both
    booking = world.book(9, 11)
    looked = world.post("/facilities/LAB/calendar-sources/preview", json=WISH, who="tam").json
    assert (looked["clashes"], looked["total"]) == ([booking["id"]], 1)
    assert [one["title"] for one in looked["events"]] == ["Pump service"]
    assert world.get("/facilities/LAB/calendar-sources", who="tam").json["total"] == 0
    made = world.post("/facilities/LAB/calendar-sources", json=WISH, who="tam")
    assert made.status_code == 201
    assert (made.json["state"], made.json["url"]) == ("new", "https://calendars.example.org/….ics")
    where = f"/calendar-sources/{made.json['id']}"
    pull_calendars.run(Settings(), lambda: False)
    row = world.get(where, who="tam").json
    assert (row["state"], row["events"], row["clashes"]) == ("working", 1, [booking["id"]])
    later = {"instrument_id": "SEM", "start": at(11), "end": at(12)}
    assert world.post("/bookings", json=later, who="cleo").json["reasons"][0]["code"] == "taken"
    changed = world.patch(where, json={"name": "Pumps", "means": "bookings"}, who="tam").json
    assert (changed["name"], changed["means"], changed["events"], changed["url"]) == (
        "Pumps",
        "bookings",
        1,
        made.json["url"],
    )
    assert world.patch(where, json={"name": "Mine"}, who="ada").status_code == 403
    begun = world.post(f"{where}/replan", who="tam")
    assert (begun.status_code, begun.json["replan_id"] is not None) == (201, True)
    replan = world.get(f"/replans/{begun.json['replan_id']}", who="tam").json
    assert (replan["cause"], replan["closure_id"]) == ("elsewhere", None)
    assert world.delete(where, who="tam").status_code == 204
    assert world.get(f"/replans/{begun.json['replan_id']}", who="tam").json["state"] == "over"
    assert world.post("/bookings", json=later, who="cleo").status_code == 201


def test_what_cannot_be_read_is_refused_with_the_reason(world: World, server):
    server.answer = lambda _p, _h: [ok(b"<html>")]
    for path in ("", "/preview"):
        refused = world.post(f"/facilities/LAB/calendar-sources{path}", json=WISH, who="tam")
        assert refused.status_code == 409
        assert refused.json["reasons"][0]["code"] == "source_unreadable"
        assert refused.json["reasons"][0]["params"] == {"failure": "malformed", "figure": ""}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"url": "http://127.0.0.1:8000/x.ics"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"instruments": ["FAR-1"]}, "instruments"),
        ({"means": "lunch"}, "means"),
        ({"floating_zone": "Mars"}, "floating_zone"),
    ],
)
def test_a_wish_that_makes_no_sense_is_not_fetched(world: World, server, changed, field):
    refused = world.post("/facilities/LAB/calendar-sources", json=WISH | changed, who="tam")
    assert (refused.status_code, list(refused.json["errors"])) == (422, [field])
    assert server.asked == []

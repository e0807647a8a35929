"""Subscribing to calendars elsewhere by the pages: looking first, what it says, whom it meets, and its end."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from booking import db
from booking.config import Settings
from booking.gateways import way_out
from booking.jobs import pull_calendars
from models import CalendarSource, Replan
from tests.jobs.calendar_server import PUBLIC, calendar_server, ok
from tests.web.lab import Lab, at, text_of, value_of

URL = "https://calendars.example.org/private-9f2c/basic.ics"


def calendar(*spans: tuple[datetime, datetime], title: str = "Pump service") -> bytes:
    events = "".join(
        f"BEGIN:VEVENT\r\nUID:{n}@example.org\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:{title}\r\n"
        f"DTSTART:{start.astimezone(UTC):%Y%m%dT%H%M%SZ}\r\nDTEND:{end.astimezone(UTC):%Y%m%dT%H%M%SZ}\r\n"
        "END:VEVENT\r\n"
        for n, (start, end) in enumerate(spans)
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n".encode()


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


@pytest.fixture
def server(monkeypatch):
    """The world outside: every name leads to it."""
    with calendar_server() as found:
        monkeypatch.setattr(way_out.Pinned, "begin", lambda _self: None)
        monkeypatch.setattr(way_out, "_resolve", lambda _host, _port: [PUBLIC])
        monkeypatch.setattr(way_out, "_connect", found.connect)
        yield found


def subscribe(lab, **more):
    given = {
        "facility": "LAB",
        "name": "Plan",
        "url": URL,
        "means": "maintenance",
        "instrument": "SEM",
    } | more
    return lab.send("tam", "/calendar-sources/new", **given)


def sources():
    with db.reading() as session:
        return list(session.scalars(select(CalendarSource)))


def fetch():
    with db.transaction() as session:
        session.execute(update(CalendarSource).values(next_at=datetime.now(UTC)))
    pull_calendars.run(Settings(), lambda: False)


def test_what_it_would_do_is_shown_before_anything_is_kept(lab, server):
    lab.book("ada", "SEM", at(9), at(11))
    server.answer = lambda _p, _h: [ok(calendar((at(10), at(12))))]
    shown = subscribe(lab, check="1")
    assert shown.status_code == 200
    said = text_of(shown.text)
    for words in ("Pump service", "1 booking stands in this time", "Ada", "1 event of it counts"):
        assert words in said
    assert value_of(shown.text, "url") == URL
    assert sources() == []


def test_from_the_address_to_other_places(lab, server):
    lab.book("ada", "SEM", at(9), at(11))
    server.answer = lambda _p, _h: [ok(calendar((at(10), at(12))))]
    made = subscribe(lab)
    assert made.status_code == 303
    page = lab.get("tam", made.headers["Location"])
    assert "Not fetched yet" in text_of(page.text)
    fetch()
    page = lab.get("tam", made.headers["Location"])
    for words in (
        "Works",
        "Pump service",
        "1 booking lies in its busy time",
        "Ada",
        "https://calendars.example.org/….ics",
    ):
        assert words in text_of(page.text)
    assert "9f2c" not in page.text
    listed = text_of(lab.get("tam", "/calendar-sources").text)
    for words in ("Plan", "SEM", "1 event ahead", "1 booking lies in its busy time"):
        assert words in listed
    free = lab.get("ada", "/instruments/SEM/day", date=f"{at(10):%Y-%m-%d}")
    assert "Pump service" not in free.text
    found = lab.send("tam", f"{made.headers['Location']}/replan")
    assert found.status_code == 303
    with db.reading() as session:
        (replan,) = session.scalars(select(Replan))
        assert found.headers["Location"].endswith(str(replan.id))
    assert "Busy in another calendar" in text_of(lab.get("tam", found.headers["Location"]).text)


def test_a_subscription_is_changed_and_its_address_is_not_shown(lab, server):
    server.answer = lambda _p, _h: [ok(calendar((at(10), at(12))))]
    where = subscribe(lab).headers["Location"]
    fetch()
    assert f"{where}/change" in lab.get("tam", where).text
    page = lab.get("tam", f"{where}/change")
    assert (value_of(page.text, "name"), "9f2c" in page.text) == ("Plan", False)
    asked = {"name": "Pumps", "means": "maintenance", "instrument": "SEM2", "url": ""}
    shown = lab.send("tam", f"{where}/change", **asked, check="1")
    assert "Pump service" in shown.text
    assert sources()[0].name == "Plan"
    assert lab.send("tam", f"{where}/change", **asked).headers["Location"] == where
    assert "SEM2" in text_of(lab.get("tam", where).text)
    assert sources()[0].url == URL
    lab.book("ada", "SEM", at(10), at(12))
    server.answer = lambda _p, _h: [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
    wrong = lab.send("tam", f"{where}/change", **asked | {"url": URL + "?new"})
    assert (wrong.status_code, sources()[0].url) == (422, URL)
    # Its name alone needs nothing from elsewhere.
    assert lab.send("tam", f"{where}/change", **asked | {"name": "P"}).status_code == 303
    assert lab.send("cleo", f"{where}/change", **asked).status_code == 403


def test_where_nobody_is_met_there_is_nothing_to_find(lab, server):
    server.answer = lambda _p, _h: [ok(calendar((at(10), at(12))))]
    made = subscribe(lab)
    fetch()
    assert "Find other places" not in lab.get("tam", made.headers["Location"]).text
    refused = lab.send("tam", f"{made.headers['Location']}/replan")
    assert refused.status_code == 409
    assert "No booking lies in busy time of this calendar." in text_of(refused.text)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "This is needed."),
        ("ftp://example.org/x.ics", "must begin with https://, http:// or webcal://"),
        ("http://169.254.169.254/latest", "does not lead into the public internet"),
        ("http://[::ffff:127.0.0.1]/x.ics", "does not lead into the public internet"),
        (URL, "The server answered with 404."),
    ],
)
def test_an_address_that_does_not_work_is_not_kept_and_it_is_said_why(lab, server, url, words):
    server.answer = lambda _p, _h: [ok(b"", status="404 Not Found")]
    refused = subscribe(lab, url=url)
    assert refused.status_code == 422
    assert words in text_of(refused.text)
    assert sources() == []
    if url != URL:
        assert server.asked == []


def test_an_address_that_turns_inward_is_not_followed(lab, server):
    server.answer = lambda _p, _h: [
        ok(b"", f"Location: https://127.0.0.1:{server.port}/inside", status="302 Found")
    ]
    assert "does not lead into the public internet" in text_of(subscribe(lab).text)
    assert [path for path, _ in server.asked] == ["/private-9f2c/basic.ics"]


def test_what_is_much_less_than_before_waits_for_a_word(lab, server):
    day = timedelta(days=1)
    server.answer = lambda _p, _h: [ok(calendar(*((at(10) + n * day, at(12) + n * day) for n in range(8))))]
    made = subscribe(lab)
    fetch()
    server.answer = lambda _p, _h: [ok(calendar((at(10), at(12))))]
    fetch()
    page = text_of(lab.get("tam", made.headers["Location"]).text)
    assert "Only 1 event is left of many" in page
    assert "8 events ahead" in page
    lab.send("tam", f"{made.headers['Location']}/refresh", accept="1")
    fetch()
    page = text_of(lab.get("tam", made.headers["Location"]).text)
    assert "1 event ahead" in page
    assert "Works" in page


def test_paused_and_removed_it_takes_no_time(lab, server):
    server.answer = lambda _p, _h: [ok(calendar((at(10), at(12))))]
    made = subscribe(lab)
    fetch()
    where = made.headers["Location"]
    assert lab.send("tam", f"{where}/pause").status_code == 303
    assert "Paused" in text_of(lab.get("tam", where).text)
    lab.book("ada", "SEM", at(10), at(12))
    assert lab.send("tam", f"{where}/resumption").status_code == 303
    fetch()
    assert "1 booking lies in its busy time" in text_of(lab.get("tam", where).text)
    assert lab.send("tam", f"{where}/removal").headers["Location"].endswith("/calendar-sources?facility=LAB")
    assert lab.get("tam", where).status_code == 404
    assert "No calendar elsewhere" in lab.get("tam", "/calendar-sources").text


def test_instruments_of_others_cannot_be_blocked_and_what_was_chosen_stays(lab, server):
    server.answer = lambda _p, _h: [ok(calendar((at(10), at(12))))]
    assert subscribe(lab, instrument="FAR-1").status_code == 422
    shown = subscribe(lab, instrument=["SEM", "BATH"], check="1", transparent="1", floating_zone="Asia/Tokyo")
    for code in ("SEM", "BATH"):
        assert re.search(rf'value="{code}" checked', shown.text)
    assert value_of(shown.text, "floating_zone") == "Asia/Tokyo"
    assert subscribe(lab, facility="FAR").status_code == 404

"""The job that asks calendars elsewhere: what changed is taken over, the last good copy counts, one harms no other."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from booking import db
from booking.domain.calendar_sources import Means
from booking.gateways import way_out
from booking.jobs import pull_calendars
from booking.services import calendar_sources
from models import CalendarSource, Event, Occupation
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.jobs.calendar_server import PUBLIC, calendar_server, ok

URL = "https://calendars.example.org/private-9f2c/basic.ics"
SOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=3)


def calendar(*starts: int, more: str = "") -> bytes:
    events = "".join(
        f"BEGIN:VEVENT\r\nUID:{n}@example.org\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:Pump {n}\r\n"
        f"DTSTART:{SOON + timedelta(hours=n):%Y%m%dT%H%M%SZ}\r\nDURATION:PT30M\r\nEND:VEVENT\r\n"
        for n in starts
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}{more}END:VCALENDAR\r\n".encode()


@pytest.fixture
def server(monkeypatch):
    """The world outside: every name leads to it."""
    with calendar_server() as found:
        monkeypatch.setattr(way_out.Pinned, "begin", lambda _self: None)
        monkeypatch.setattr(way_out, "_resolve", lambda _host, _port: [PUBLIC])
        monkeypatch.setattr(way_out, "_connect", found.connect)
        yield found


@pytest.fixture
def add(settings):
    """Let Tam subscribe his facility to a calendar, for one instrument."""
    with db.transaction() as session:
        facility = make_facility(session)
        instrument = make_instrument(session, facility=facility)
        tam = cast.actor_of(session, cast.tam(session, facility))
        facility_id, code = facility.id, instrument.code

    def subscribe(url=URL, **more):
        with db.transaction() as session:
            draft = calendar_sources.draft(
                session,
                actor=tam,
                facility_id=facility_id,
                instruments=[code],
                **{"name": "Plan", "url": url, "means": Means.MAINTENANCE} | more,
            )
            return calendar_sources.add(session, actor=tam, draft=draft, now=datetime.now(UTC)).id

    return subscribe


def run(settings):
    pull_calendars.run(settings, lambda: False)


def make_due(**values):
    with db.transaction() as session:
        session.execute(update(CalendarSource).values(next_at=datetime.now(UTC), **values))


def taken():
    with db.reading() as session:
        query = select(Occupation.starts_at).where(Occupation.source_id.is_not(None))
        return [
            (at - SOON) / timedelta(hours=1) for at in session.scalars(query.order_by(Occupation.starts_at))
        ]


def source():
    with db.reading() as session:
        return session.scalars(select(CalendarSource)).one()


def test_what_changed_is_taken_over_and_what_did_not_is_not_sent_again(settings, server, add):
    add()
    server.answer = lambda _p, headers: [
        ok(b"", status="304 Not Modified") if "If-None-Match" in headers else ok(calendar(1, 2), 'ETag: "1"')
    ]
    run(settings)
    assert taken() == [1, 2]
    run(settings)
    assert len(server.asked) == 1
    make_due()
    run(settings)
    assert server.asked[1][1]["If-None-Match"] == '"1"'
    assert taken() == [1, 2]
    server.answer = lambda _p, _h: [ok(calendar(2, 5), 'ETag: "2"')]
    make_due()
    run(settings)
    assert taken() == [2, 5]
    assert source().etag == '"2"'


def test_the_last_good_copy_counts_while_it_cannot_be_fetched_or_read(settings, server, add):
    add()
    server.answer = lambda _p, _h: [ok(calendar(1, 2), 'ETag: "1"')]
    run(settings)
    for answer, failure in (
        (ok(b"", status="503 Service Unavailable"), "status"),
        (ok(b"<html>Please sign in</html>"), "malformed"),
        (b"", "no_answer"),
    ):
        server.answer = lambda _p, _h, answer=answer: [answer]
        make_due(read_at=datetime.now(UTC) - timedelta(days=1))
        run(settings)
        assert taken() == [1, 2]
        assert source().failure == failure
    # It was read anew all the same: the year that is taken over moves on.
    assert datetime.now(UTC) - source().read_at < timedelta(minutes=5)
    assert source().failures == 3


def test_one_that_is_hostile_keeps_no_other(settings, server, add):
    add(url="https://calendars.example.org/bomb.ics")
    add(url="https://calendars.example.org/plan.ics")
    bomb = (
        "BEGIN:VEVENT\r\nUID:b\r\nDTSTART:20000101T000000Z\r\nDURATION:PT1S\r\n"
        "RRULE:FREQ=SECONDLY\r\nEND:VEVENT\r\n"
    )
    server.answer = lambda path, _h: [ok(calendar(3, more=bomb) if path == "/bomb.ics" else calendar(1))]
    run(settings)
    assert taken() == [1, 3]
    with db.reading() as session:
        assert sorted(session.scalars(select(CalendarSource.problems))) == [0, 1]


def test_what_goes_wrong_with_one_keeps_no_other_and_no_log_holds_an_address(
    settings, server, add, monkeypatch, caplog
):
    first = add(url="https://calendars.example.org/a-9f2c.ics")
    add(url="https://calendars.example.org/b-9f2c.ics")
    server.answer = lambda _p, _h: [ok(calendar(1))]
    take_over = calendar_sources.take_over

    def broken(session, *, source_id, **given):
        if source_id == first:
            raise RuntimeError("no")
        take_over(session, source_id=source_id, **given)

    monkeypatch.setattr(calendar_sources, "take_over", broken)
    with caplog.at_level(logging.DEBUG):
        run(settings)
    assert taken() == [1]
    assert "9f2c" not in caplog.text
    with db.reading() as session:
        assert set(session.scalars(select(CalendarSource.failure))) == {"", "internal"}
        assert all("9f2c" not in str(event.data) for event in session.scalars(select(Event)))


def test_one_that_was_removed_while_it_was_asked_is_not_taken_over(settings, server, add):
    source_id = add()

    def remove(_path, _headers):
        with db.transaction() as session:
            session.execute(update(CalendarSource).values(removed_at=datetime.now(UTC), url=""))
        return [ok(calendar(1))]

    server.answer = remove
    pull_calendars.pull(settings, source_id)
    assert taken() == []

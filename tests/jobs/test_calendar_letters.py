"""Letters around meetings, word for word: invitations, their changes and ends, and what an instrument answers."""

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ical.calendar_stream import IcsCalendarStream

from booking import i18n
from booking.config import Settings
from booking.domain.calendars import Status
from booking.domain.invitations import WHOLE, Invite, Method, Party, invite
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.jobs import calendar_letters
from booking.services import bookings
from booking.services.invitations import Answered, Parcel
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
START = datetime(2026, 11, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SNAPSHOTS = Path(__file__).parent / "letters"
SETTINGS = replace(
    Settings(),
    public_url="https://yiqi.example.org/",
    secret_key="a key for tests and for tests alone",
    default_locale="en",
    host_name="h",
    reply_mailbox="yiqi@lab.example.org",
    mail_domain="lab.example.org",
)
DELIVERY = UUID(int=5)
SECRET = re.compile(r"yiqi\+[a-z2-7]{20}@")


@pytest.fixture
def booked(session, monkeypatch):
    """Ada's booking of a furnace, its ids the same in every run."""
    monkeypatch.setattr(bookings, "time_ordered_id", lambda _now: UUID(int=7))
    place = make_facility(
        session, name_zh="中试平台", name_en="Pilot platform", code="PILOT", address="1 Lake Road"
    )
    furnace = make_instrument(
        session, facility=place, name_zh="真空炉", name_en="Vacuum furnace", code="PILOT-01", location="B 201"
    )
    ada = cast.actor_of(session, cast.ada(session))
    item = Item(furnace.id, Span(START, START + 2 * HOUR))
    return bookings.place(session, actor=ada, items=[item], purpose="Sintering <b>A</b>", now=NOW)


def parcel(booking, method=Method.REQUEST, status=Status.CONFIRMED, *, sequence=0, first=True) -> Parcel:
    span = Span(START, START + 2 * HOUR)
    return Parcel(
        booking.person,
        booking,
        WHOLE,
        f"{booking.id}@h",
        method,
        status,
        sequence,
        span,
        booking.items,
        first,
    )


def answered(booking, *lines) -> Answered:
    place = booking.items[0].instrument
    data = {
        "instrument": place.code,
        "uid": "m@example.org",
        "sequence": 0,
        "organizer": "mailto:ada@example.org",
        "attendee": "mailto:pilot-01@lab.example.org",
        "summary": "Sintering <b>run</b>",
        "dates": list(lines),
    }
    return Answered(booking.person, place, data)


def line(answer, why, day=0, **more):
    start = START + timedelta(days=day)
    base = {
        "recurrence": f"{start:%Y%m%dT%H%M%SZ}",
        "start": start.isoformat(),
        "end": (start + 2 * HOUR).isoformat(),
        "answer": answer,
        "why": why,
        "now": None,
        "booking_id": None,
        "reasons": [],
        "instead": [],
    }
    return base | more


SPAN = [(START + 4 * HOUR).isoformat(), (START + 6 * HOUR).isoformat()]
TAKEN = {
    "code": "past",
    "params": {"now": NOW.isoformat()},
}

STORIES = {
    "invitation": parcel,
    "invitation-changed": lambda b: parcel(b, sequence=2, first=False),
    "invitation-waits": lambda b: parcel(b, status=Status.TENTATIVE, sequence=3, first=False),
    "invitation-cancelled": lambda b: parcel(b, Method.CANCEL, Status.CANCELLED, sequence=4, first=False),
    "invitation.answer": lambda b: answered(b, line("ACCEPTED", "booked", booking_id=str(b.id))),
    "invitation.answer-some": lambda b: answered(
        b,
        line("ACCEPTED", "booked", booking_id=str(b.id)),
        line("TENTATIVE", "waits", 7),
        line(
            "DECLINED",
            "refused",
            14,
            reasons=[TAKEN],
            instead=[{"instrument": "PILOT-01", "spans": [SPAN], "why": "nearest"}],
        ),
        line("DECLINED", "refused", 21, now=SPAN, reasons=[TAKEN]),
        line("TENTATIVE", "moved", 28, now=SPAN),
        line("DECLINED", "gone", 35),
        line("ACCEPTED", "kept", 42, reasons=[TAKEN]),
    ),
}


@pytest.mark.parametrize("story", sorted(STORIES))
def test_letters_are_as_they_were(session, booked, story):
    """Compare with the stored letter; SNAPSHOTS=write in the environment stores what is written now."""
    written = calendar_letters.write(STORIES[story](booked), DELIVERY, SETTINGS, now=NOW)
    body = written.html.partition("<body>\n")[2].partition("</body>")[0]
    calendar = written.calendar.decode().replace("\r\n", "\n")
    head = (
        f"{written.to_name} <{written.to_address}>\n{written.sender or written.reply_to}\n{written.subject}"
    )
    text = SECRET.sub("yiqi+secret@", f"{head}\n\n{written.text}\n{body}\n{calendar}")
    path = SNAPSHOTS / f"{story}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("locale", i18n.LOCALES)
@pytest.mark.parametrize("story", sorted(STORIES))
def test_letters_can_be_written_in_every_language(session, booked, story, locale):
    booked.person.locale = locale
    written = calendar_letters.write(STORIES[story](booked), DELIVERY, SETTINGS, now=NOW)
    assert written.language == i18n.language_tag(locale)
    for text in (written.text, written.html, written.subject, written.calendar.decode()):
        assert "%(" not in text
        assert "None" not in text
    assert "<b>" not in written.html


def test_an_independent_reader_understands_every_calendar(session, booked):
    for story in STORIES.values():
        written = calendar_letters.write(story(booked), DELIVERY, SETTINGS, now=NOW)
        found = IcsCalendarStream.calendar_from_ics(written.calendar.decode())
        assert found.method == written.method
        assert all(event.attendees and event.organizer for event in found.events)
        assert found.events[0].start == START


# --- the calendar in it ---------------------------------------------------------------------------

_TEXT = st.text(max_size=120)


@given(_TEXT, _TEXT, _TEXT, _TEXT)
def test_no_text_adds_a_property_or_breaks_a_line(summary, description, location, name):
    data = invite(
        Invite(
            method=Method.REQUEST,
            uid="1@h",
            sequence=3,
            span=Span(START, START + HOUR),
            status=Status.CONFIRMED,
            created_at=NOW,
            updated_at=NOW,
            organizer=Party("yiqi@lab.example.org", name),
            person=Party("ada@example.org", name),
            instruments=[Party("furnace@lab.example.org", name)],
            summary=summary,
            description=description,
            location=location,
        ),
        stamp=NOW,
    )
    lines = data.split(b"\r\n")
    assert all(len(one) <= 75 and "\t" not in one.decode() for one in lines)
    assert b"\n" not in data.replace(b"\r\n", b"")
    calendar = icalendar.Calendar.from_ical(data)
    (event,) = calendar.events
    names = {str(one) for one in event}
    assert names - {"DESCRIPTION", "LOCATION"} == {
        *("UID", "DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "CREATED", "LAST-MODIFIED", "STATUS", "TRANSP"),
        *("X-MICROSOFT-CDO-BUSYSTATUS", "SUMMARY", "ORGANIZER", "ATTENDEE"),
    }
    assert len(event["ATTENDEE"]) == 2
    assert not event.errors

"""Events as programs send them: read whole or refused with a code, whatever the octets are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from booking.domain import dav
from booking.domain.calendars import Busy, CalendarItem, Status, render_event
from booking.domain.dav import Filter, PropertyFilter, Sent, TextMatch, Unfit
from booking.domain.spans import Span

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CODES = {"unreadable", "not_an_event", "recurs", "no_end", "unknown_zone"}


def item(**changed) -> bytes:
    given = {
        "uid": "a@host",
        "starts_at": START,
        "ends_at": START + HOUR,
        "created_at": START,
        "updated_at": START,
        "sequence": 0,
        "status": Status.CONFIRMED,
        "summary": "x",
    }
    return render_event(CalendarItem(**given | changed))


def sent(*lines: str) -> bytes:
    return "\r\n".join(
        ("BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR", "")
    ).encode()


@given(st.text(max_size=200), st.text(max_size=300))
def test_what_we_give_is_what_other_readers_read(summary, description):
    event = item(summary=summary, description=description)
    [told] = Calendar.from_ical(dav.wrapped(event)).events
    said = dav.told(event)
    for name in ("SUMMARY", "DESCRIPTION"):
        if name in said:
            assert said[name] == str(told[name])
    assert dav.stamp(said["DTSTART"]) == told["DTSTART"].dt


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: sent("UID:a", text)))
def test_whatever_is_sent_is_read_or_refused_with_a_code(data):
    try:
        found = dav.read_event(data, "Asia/Shanghai")
    except Unfit as refused:
        found = refused
    assert found.code in CODES if isinstance(found, Unfit) else found.span.start < found.span.end


def test_an_event_of_ours_comes_back_as_it_went():
    event = dav.wrapped(item(summary="试样; 🧪, \\ x"))
    assert dav.read_event(event, "UTC") == Sent("a@host", Span(START, START + HOUR), "试样; 🧪, \\ x")


@pytest.mark.parametrize(
    ("summary", "notes", "purpose"),
    [
        ("SEM (Ada)", "Alloy", None),
        ("Awaiting approval: SEM (Ada)", "Alloy", None),
        ("SEM (Ada)", "", None),
        ("Alloy", "", None),
        ("Steel", "Alloy", "Steel"),
        ("Steel", "Bring gloves", "Steel\nBring gloves"),
    ],
)
def test_a_purpose_is_new_when_its_title_is(summary, notes, purpose):
    event = item(summary="SEM (Ada)", description="Alloy")
    found = Sent("a", Span(START, START + HOUR), summary, notes)
    assert (None if found.says_nothing_new(event) else found.since(event).purpose) == purpose


@pytest.mark.parametrize(
    ("lines", "hours"),
    [
        (["DTSTART:20261102T080000Z", "DTEND:20261102T090000Z"], (8, 9)),
        (["DTSTART:20261102T160000", "DURATION:PT1H"], (8, 9)),
        (["DTSTART;TZID=America/New_York:20261102T030000", "DURATION:PT1H"], (8, 9)),
        (["DTSTART;TZID=China Standard Time:20261102T160000", "DURATION:PT1H"], (8, 9)),
        (
            ["DTSTART;TZID=/freeassociation.sourceforge.net/Asia/Tokyo:20261102T170000", "DURATION:PT1H"],
            (8, 9),
        ),
    ],
)
def test_times_are_those_of_their_zone_or_of_the_place(lines, hours):
    found = dav.read_event(sent("UID:a", *lines), "Asia/Shanghai")
    assert (found.span.start.hour, found.span.end.hour) == hours


def test_a_zone_that_a_program_describes_is_not_followed_for_ever():
    zone = ("BEGIN:VTIMEZONE", "TZID:x", "BEGIN:STANDARD", "DTSTART:19700101T000000", "RRULE:FREQ=SECONDLY")
    zone = (*zone, "TZOFFSETFROM:+0000", "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE")
    data = "\r\n".join(("BEGIN:VCALENDAR", *zone, "BEGIN:VEVENT", "UID:a", "DTSTART;TZID=x:20261102T080000"))
    with pytest.raises(Unfit, match="unknown_zone"):
        dav.read_event(f"{data}\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".encode(), "UTC")


def test_of_a_filter_every_part_must_fit():
    span, event = Span(START, START + HOUR), item(summary="Steel 7", description="Hot")

    def fits(**wanted) -> bool:
        return Filter(**wanted).fits(span, event, alias="mine@phone")

    def says(name: str, text: str, **how) -> tuple[PropertyFilter, ...]:
        return (PropertyFilter(name, text=TextMatch(text, **how)),)

    assert fits()
    assert not fits(none=True)
    assert fits(start=START - HOUR, end=START + HOUR / 2)
    assert not fits(start=START + HOUR)
    assert not fits(end=START)
    assert fits(properties=says("SUMMARY", "steel") + says("DESCRIPTION", "hot"))
    assert not fits(properties=says("SUMMARY", "steel") + says("DESCRIPTION", "cold"))
    assert not fits(properties=says("SUMMARY", "steel", case_matters=True))
    assert fits(properties=says("SUMMARY", "iron", negate=True))
    assert fits(properties=says("UID", "a@host"))
    assert fits(properties=says("UID", "mine@phone"))
    assert not fits(properties=says("UID", "theirs"))
    assert fits(properties=(PropertyFilter("RRULE", absent=True),))
    assert not fits(properties=(PropertyFilter("SUMMARY", absent=True),))


def test_only_what_takes_time_is_busy():
    span = Span(START, START + HOUR)
    events = [item(), item(status=Status.TENTATIVE), item(status=Status.CANCELLED), item(free=True)]
    assert dav.busy_periods((span, event) for event in events) == {Busy.BUSY: [span], Busy.TENTATIVE: [span]}

"""Other people's calendars: every date that they mean, in UTC, and nothing that takes for ever."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from booking.domain.foreign_calendars import BadCalendar, Limits, read
from booking.domain.spans import Span

CHINA = ZoneInfo("Asia/Shanghai")
YEAR = Span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def calendar(*lines: str, method: str = "", before: str = "") -> bytes:
    event = "\r\n".join(
        ("BEGIN:VEVENT", "UID:1@example.org", "DTSTAMP:20261101T000000Z", *lines, "END:VEVENT")
    )
    head = f"METHOD:{method}\r\n" if method else ""
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{head}{before}{event}\r\nEND:VCALENDAR\r\n".encode()


def several(*events: tuple[str, ...]) -> bytes:
    body = "".join("\r\n".join(("BEGIN:VEVENT", *lines, "END:VEVENT", "")) for lines in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{body}END:VCALENDAR\r\n".encode()


def starts(data: bytes, zone=CHINA, within=YEAR, **limits) -> list[str]:
    found = read(data, zone=zone, within=within, limits=Limits(**limits))
    return [f"{one.span.start:%m-%d %H:%M}" for one in found.occurrences]


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "utc"),
    [
        ("DTSTART:20261105T010000Z", "11-05 01:00"),
        ("DTSTART;TZID=Asia/Shanghai:20261105T090000", "11-05 01:00"),
        ("DTSTART;TZID=China Standard Time:20261105T090000", "11-05 01:00"),
        ("DTSTART;TZID=/freeassociation.sourceforge.net/Asia/Shanghai:20261105T090000", "11-05 01:00"),
        ("DTSTART:20261105T090000", "11-05 01:00"),
        ("DTSTART;VALUE=DATE:20261105", "11-04 16:00"),
        ("DTSTART;TZID=Eastern Standard Time:20261105T090000", "11-05 14:00"),
        ("DTSTART;TZID=Eastern Standard Time:20260605T090000", "06-05 13:00"),
    ],
)
def test_a_time_is_that_of_its_zone_and_a_floating_one_that_of_the_facility(start, utc):
    assert starts(calendar(start)) == [utc]


def test_what_floats_is_meant_in_the_zone_that_the_calendar_names():
    data = calendar("DTSTART:20261105T090000", before="X-WR-TIMEZONE:America/New_York\r\n")
    assert starts(data) == ["11-05 14:00"]


OWN = (
    "BEGIN:VTIMEZONE\r\nTZID:Customized\r\n"
    "BEGIN:STANDARD\r\nDTSTART:16010101T020000\r\nTZOFFSETFROM:-0400\r\nTZOFFSETTO:-0500\r\n"
    "RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11\r\nEND:STANDARD\r\n"
    "BEGIN:DAYLIGHT\r\nDTSTART:16010101T020000\r\nTZOFFSETFROM:-0500\r\nTZOFFSETTO:-0400\r\n"
    "RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
)


def test_a_zone_that_the_calendar_describes_itself_is_used_and_not_remembered():
    own = calendar("DTSTART;TZID=Customized:20260605T090000", before=OWN)
    assert starts(own) == ["06-05 13:00"]
    other = OWN.replace("-0400", "+0800").replace("-0500", "+0800")
    assert starts(calendar("DTSTART;TZID=Customized:20260605T090000", before=other)) == ["06-05 01:00"]
    found = read(calendar("DTSTART;TZID=Customized:20260605T090000"), zone=CHINA, within=YEAR)
    assert [problem.code for problem in found.problems] == ["zone"]


def test_a_known_name_means_the_known_zone_whatever_the_calendar_says_of_it():
    lie = OWN.replace("Customized", "Asia/Shanghai")
    assert starts(calendar("DTSTART;TZID=Asia/Shanghai:20260605T090000", before=lie)) == ["06-05 01:00"]


def test_whole_days_are_those_of_the_facility_where_the_clock_changes_too():
    day = calendar("DTSTART;VALUE=DATE:20261101", "DTEND;VALUE=DATE:20261103")
    (found,) = read(day, zone=ZoneInfo("America/New_York"), within=YEAR).occurrences
    assert found.all_day
    assert found.span == Span(datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 3, 5, tzinfo=UTC))


def test_length_comes_from_the_end_or_the_duration_or_is_a_day():
    def length(*lines):
        return read(calendar(*lines), zone=CHINA, within=YEAR).occurrences[0].span.duration

    assert length("DTSTART:20261105T010000Z", "DTEND:20261105T023000Z") == timedelta(minutes=90)
    assert length("DTSTART:20261105T010000Z", "DURATION:PT45M") == timedelta(minutes=45)
    assert length("DTSTART;VALUE=DATE:20261105") == timedelta(days=1)


# --- repetition -----------------------------------------------------------------------------------

WEEKLY = (
    "UID:w@example.org",
    "DTSTAMP:20261101T000000Z",
    "DTSTART;TZID=America/New_York:20261020T090000",
    "DTEND;TZID=America/New_York:20261020T100000",
    "RRULE:FREQ=WEEKLY;COUNT=4",
)


def test_a_repeated_event_keeps_the_wall_clock_over_the_change_of_time():
    assert starts(several(WEEKLY)) == ["10-20 13:00", "10-27 13:00", "11-03 14:00", "11-10 14:00"]


def test_dates_left_out_moved_cancelled_and_added():
    moved = (
        "UID:w@example.org",
        "RECURRENCE-ID;TZID=America/New_York:20261103T090000",
        "DTSTART;TZID=America/New_York:20261104T150000",
        "DTEND;TZID=America/New_York:20261104T160000",
        "SEQUENCE:2",
    )
    cancelled = (
        "UID:w@example.org",
        "RECURRENCE-ID:20261110T140000Z",
        "DTSTART:20261110T140000Z",
        "STATUS:CANCELLED",
    )
    whole = (
        *WEEKLY,
        "EXDATE;TZID=America/New_York:20261027T090000",
        "RDATE;TZID=America/New_York:20261224T090000",
    )
    found = read(several(whole, moved, cancelled), zone=CHINA, within=YEAR)
    assert [(one.recurrence, f"{one.span.start:%m-%d %H:%M}", one.busy) for one in found.occurrences] == [
        ("20261020T130000Z", "10-20 13:00", True),
        ("20261103T140000Z", "11-04 20:00", True),
        ("20261110T140000Z", "11-10 14:00", False),
        ("20261224T140000Z", "12-24 14:00", True),
    ]
    assert found.masters == {"w@example.org"}
    assert not found.cut
    assert not found.beyond


def test_what_is_free_or_cancelled_takes_no_time():
    def busy(*lines):
        return read(calendar("DTSTART:20261105T010000Z", *lines), zone=CHINA, within=YEAR).occurrences[0].busy

    assert busy()
    assert not busy("TRANSP:TRANSPARENT")
    assert not busy("STATUS:CANCELLED")


_FIRST = st.integers(0, 9 * 366 * 24 * 60).map(
    lambda n: datetime(2018, 1, 1, tzinfo=UTC) + timedelta(minutes=n)
)
_DAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), max_size=3, unique=True)
_NUMBERED = st.lists(st.sampled_from(["1MO", "-1FR", "2WE", "-2SU", "5TH"]), max_size=3, unique=True)


@st.composite
def rules(draw) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]
    numbered = frequency in {"MONTHLY", "YEARLY"} and draw(st.booleans())
    weekdays = draw(_NUMBERED if numbered else _DAYS)
    if weekdays:
        parts.append(f"BYDAY={','.join(weekdays)}")
    months = draw(st.lists(st.integers(1, 12), max_size=3, unique=True))
    if months:
        parts.append(f"BYMONTH={','.join(map(str, months))}")
    if frequency in {"DAILY", "MONTHLY", "YEARLY"} and draw(st.booleans()):
        month_days = draw(st.lists(st.sampled_from([1, 13, 28, -1, -3]), min_size=1, max_size=3, unique=True))
        parts.append(f"BYMONTHDAY={','.join(map(str, month_days))}")
    if frequency in {"WEEKLY", "MONTHLY", "YEARLY"} and weekdays and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(st.sampled_from(['1', '-1', '1,-1']))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU']))}")
    ends = draw(st.sampled_from(["", "COUNT=17", "UNTIL=20261101T000000Z"]))
    return ";".join([*parts, *([ends] if ends else [])])


@settings(max_examples=200, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(_FIRST, rules())
def test_every_rule_gives_the_dates_that_dateutil_gives(first, rule):
    """None of these rules is without dates: dateutil would look for them for eight thousand years."""
    wanted = []
    for at in rrulestr(rule, dtstart=first):
        if at >= YEAR.end:
            break
        if at + timedelta(hours=1) > YEAR.start:
            wanted.append(f"{at:%m-%d %H:%M}")
    data = calendar(f"DTSTART:{first:%Y%m%dT%H%M%SZ}", "DURATION:PT1H", f"RRULE:{rule}")
    assert starts(data, dates=2000) == wanted


# --- what is hostile ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;COUNT=3",
        "FREQ=HOURLY;COUNT=3",
        "FREQ=DAILY;BYHOUR=1,2,3;COUNT=3",
        "FREQ=WEEKLY;BYDAY=1MO;COUNT=3",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;BYMONTH=0",
        "FREQ=YEARLY;BYEASTER=1",
    ],
)
def test_a_rule_that_repeats_within_a_day_or_makes_no_sense_is_refused(rule):
    data = calendar("DTSTART:19700101T000000Z", "DTEND:19700101T010000Z", f"RRULE:{rule}")
    found = read(data, zone=CHINA, within=YEAR)
    assert found.occurrences == ()
    assert [problem.code for problem in found.problems] in (["rule"], ["malformed"])


@pytest.mark.parametrize(
    "data",
    [
        calendar("DTSTART:19700101T000000Z", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
        calendar("DTSTART:19700101T000000Z", "RRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2;BYSETPOS=366"),
        calendar("DTSTART:19700101T000000Z", "RRULE:FREQ=DAILY;COUNT=100000"),
        calendar("DTSTART:20261105T000000Z", f"RDATE:{','.join(['20261106T000000Z'] * 20000)}"),
        calendar(
            "DTSTART;TZID=X:20261105T000000",
            before=OWN.replace("Customized", "X").replace("YEARLY", "SECONDLY"),
        ),
        b"BEGIN:VCALENDAR\r\n" * 40_000,
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + b"BEGIN:VALARM\r\n" * 20_000,
        b"BEGIN:VCALENDAR\r\n" + b"X" * 900_000,
        several(
            *(
                (f"UID:{n}", "DTSTART:19700101T000000Z", "RRULE:FREQ=DAILY;COUNT=20000;BYMONTHDAY=31")
                for n in range(1500)
            )
        ),
    ],
    ids=["never", "never-yearly", "long", "rdates", "zone", "nested", "alarms", "line", "many"],
)
def test_it_ends_soon_whatever_it_is_given(data):
    begun = time.process_time()
    try:
        found = read(data, zone=CHINA, within=YEAR)
    except BadCalendar:
        found = None
    assert time.process_time() - begun < 10
    assert found is None or len(found.occurrences) <= Limits().total


def test_what_is_too_much_is_cut_or_refused():
    daily = calendar("DTSTART:20260101T000000Z", "RRULE:FREQ=DAILY")
    found = read(daily, zone=CHINA, within=YEAR, limits=Limits(dates=10))
    assert (len(found.occurrences), found.cut) == (10, True)
    with pytest.raises(BadCalendar, match="too_large"):
        read(daily, zone=CHINA, within=YEAR, limits=Limits(octets=100))
    one = ("DTSTART:20261105T000000Z",)
    found = read(
        several(*((f"UID:{n}", *one) for n in range(5))), zone=CHINA, within=YEAR, limits=Limits(events=3)
    )
    assert (len(found.occurrences), found.cut) == (3, True)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xfe\x00", b"BEGIN:VEVENT\r\nEND:VEVENT\r\n", b"<html>"]
)
def test_what_is_no_calendar_is_malformed(data):
    with pytest.raises(BadCalendar, match="malformed"):
        read(data, zone=CHINA, within=YEAR)


@given(st.binary(max_size=400))
def test_no_octets_break_it(data):
    with suppress(BadCalendar):
        read(b"BEGIN:VCALENDAR\r\n" + data + b"\r\nEND:VCALENDAR\r\n", zone=CHINA, within=YEAR)


_LINE = st.sampled_from(
    [
        "DTSTART:20261105T010000Z", "DTSTART;VALUE=DATE:20261105", "DTEND:20261105T020000Z", "DTEND:x",
        "RRULE:FREQ=DAILY;COUNT=3", "RRULE:", "EXDATE:20261106T010000Z", "EXDATE;VALUE=DATE:20261106",
        "RECURRENCE-ID:20261105T010000Z", "DURATION:P1W", "DURATION:-PT1H", "SEQUENCE:x", "SEQUENCE:99999999999",
        "ATTENDEE:mailto:a@b", "ATTENDEE:", 'ORGANIZER;CN="x":mailto:a@b', "UID:2", "STATUS:X", "DTSTAMP:1",
        "RDATE;VALUE=PERIOD:20261105T090000Z/PT1H", "DTSTART;TZID=:20261105T010000", "BEGIN:VALARM", "END:VALARM",
        "SUMMARY:\\n\\,", "DTSTART:99991231T235959Z", "DTSTART:00010101T000000",
    ]
)  # fmt: skip


@given(st.lists(_LINE, max_size=12))
def test_no_order_of_properties_breaks_it(lines):
    with suppress(BadCalendar):
        read(calendar(*lines), zone=CHINA, within=YEAR)

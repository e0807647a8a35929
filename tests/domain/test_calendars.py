"""The feed writer: against icalendar byte for byte, against our own checks, and read back by two judges."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter
from uuid import UUID
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking.domain import calendars
from booking.domain.calendars import Busy, CalendarItem, FeedHead, FeedRules, Status
from booking.domain.spans import Span, intersect
from tests.feeds import conformance, judges

HOST = "yiqi.example.org"
START = attrgetter("starts_at")
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HEAD = FeedHead("Ada · 我的预约", "30 days back; 365 days ahead, at most 1000 events.")

TORTURE = {
    "Chinese": "扫描电子显微镜，二楼；请带样品盒。",
    "long Chinese": "双螺杆挤出中试线" * 40,
    "emoji": "🧪👩‍🔬👨🏽‍🔧🇨🇳 run 1️⃣",
    "escapes": r"a\b;c,d:e\\n\; \, \N \n \\",
    "quotes": "O\"Neil, 张; x='y' ^n ^^ ^'",
    "lines": "first\nsecond\n\n  third, indented \nBEGIN:VALARM\nEND:VEVENT",
    "other breaks": "a\r\nb\rc\x0bd\x0ce\u2028f\u2029g\x85h",
    "controls": "nul\x00bell\x07esc\x1bdel\x7fcsi\x9bend",
    "tab": "\tone\ttwo",
    "right to left": "\u202bשלום\u202c \u200fعربي\u200e \u061c \u2067x\u2069",
    "combining": "e\u0301\u0323 \u0e01\u0e33 क्षि",
    "no-break": "\u00a0\u2007\ufeff\u200b\u3000x\u3000",
    "surrogate": "half \ud83e of a pair \udd2f",
    "noncharacters": "\ufffe\uffff\U0010ffff\U000f0000",
    "spaces": "  " + "x " * 60,
    "colons": "a:b;VALUE=DATE:20260101",
    "percent": "100 % %2C %0A {x} %(name)s %s",
    "markup": "<script>alert(1)</script> &amp; <b>",
    "formula": "=cmd|' /C calc'!A0",
}
# Every way a character of one to four octets may fall on the edge of a line.
EDGES = {
    f"edge {size} {lead}": "x" * lead + mark * 60
    for size, mark in enumerate(("a", "é", "试", "🧪", "\\", ";", "\n"), start=1)
    for lead in range(60, 76, 1 if size == 4 else 3)
}


def item(**changes: object) -> CalendarItem:
    given_ = {
        "uid": f"7d0ab7a5-2f5e-4f0e-9d43-0b1b1d3f6f10@{HOST}",
        "starts_at": datetime(2026, 3, 4, 1, 0, tzinfo=UTC),
        "ends_at": datetime(2026, 3, 4, 3, 30, tzinfo=UTC),
        "created_at": datetime(2026, 3, 1, 8, 0, 5, tzinfo=UTC),
        "updated_at": datetime(2026, 3, 1, 9, 0, 0, 999999, tzinfo=UTC),
        "sequence": 2,
        "status": Status.CONFIRMED,
        "summary": "扫描电镜",
        "url": "https://yiqi.example.org/bookings/7d0ab7a5-2f5e-4f0e-9d43-0b1b1d3f6f10",
    }
    return CalendarItem(**{**given_, **changes})


def feed_of(*items: CalendarItem, head: FeedHead = HEAD) -> bytes:
    ordered = sorted(items, key=lambda each: (each.starts_at, each.uid))
    return calendars.render_feed(head, map(calendars.render_event, ordered))


def truth(told: CalendarItem) -> judges.Seen:
    plain = calendars.plain_text
    return judges.Seen(
        uid=told.uid,
        start=int(told.starts_at.timestamp()),
        end=int(told.ends_at.timestamp()),
        changed=int(told.updated_at.timestamp()),
        sequence=told.sequence,
        status=told.status.value,
        transparency="TRANSPARENT" if told.free or told.status is Status.CANCELLED else "OPAQUE",
        summary=plain(told.summary),
        description=plain(told.description) or None,
        location=plain(told.location) or None,
        url=told.url or None,
        categories=tuple(map(plain, told.categories)),
    )


# --- the bytes of an event ----------------------------------------------------------------------------------


def test_an_event_reads_like_this():
    told = item(description="2 h 30 min\nBen, 课题 7", location="东莞；二楼", categories=("仪起", "a,b"))
    assert calendars.render_event(told).decode().split("\r\n") == [
        "BEGIN:VEVENT",
        "UID:7d0ab7a5-2f5e-4f0e-9d43-0b1b1d3f6f10@yiqi.example.org",
        "DTSTAMP:20260301T090000Z",
        "DTSTART:20260304T010000Z",
        "DTEND:20260304T033000Z",
        "CREATED:20260301T080005Z",
        "LAST-MODIFIED:20260301T090000Z",
        "SEQUENCE:2",
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
        "X-MICROSOFT-CDO-BUSYSTATUS:BUSY",
        "SUMMARY:扫描电镜",
        r"DESCRIPTION:2 h 30 min\nBen\, 课题 7",
        "LOCATION:东莞；二楼",
        "URL:https://yiqi.example.org/bookings/7d0ab7a5-2f5e-4f0e-9d43-0b1b1d3f6f10",
        r"CATEGORIES:仪起,a\,b",
        "END:VEVENT",
        "",
    ]


moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(
    st.one_of(
        st.sampled_from("\\;,:\n\"'^ 试验🧪é"),
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"),
    ),
    max_size=200,
    # icalendar 7.3 reads a backslash before a capital N as a line break; we do not.
).map(lambda text: text.replace("\\N", "\\ N"))
items = st.builds(
    lambda starts, length, **fields: item(starts_at=starts, ends_at=starts + length, **fields),
    starts=moments,
    length=st.timedeltas(timedelta(minutes=1), timedelta(days=40)),
    uid=st.builds(calendars.event_uid, st.uuids().map(str), st.just(HOST), st.none() | st.integers(0, 99)),
    created_at=moments,
    updated_at=moments,
    sequence=st.integers(0, 10**6),
    status=st.sampled_from(Status),
    summary=texts,
    description=texts,
    location=texts,
    url=st.uuids().map(lambda key: f"https://{HOST}/bookings/{key}"),
    categories=st.lists(texts.filter(bool), max_size=3).map(tuple),
    free=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(items)
def test_the_template_writes_what_icalendar_writes(told: CalendarItem):
    assert calendars.render_event(told) == _by_icalendar(told)


def _by_icalendar(told: CalendarItem) -> bytes:
    changed = told.updated_at.replace(microsecond=0)
    seen = truth(told)
    busy = {"CONFIRMED": "BUSY", "TENTATIVE": "TENTATIVE", "CANCELLED": "FREE"}[seen.status]
    event = icalendar.Event()
    event.add("uid", told.uid)
    event.add("dtstamp", changed)
    event.add("dtstart", told.starts_at.replace(microsecond=0))
    event.add("dtend", told.ends_at.replace(microsecond=0))
    event.add("created", told.created_at.replace(microsecond=0))
    event.add("last-modified", changed)
    event.add("sequence", told.sequence)
    event.add("status", seen.status)
    event.add("transp", seen.transparency)
    event.add("x-microsoft-cdo-busystatus", "FREE" if told.free else busy)
    event.add("summary", told.summary)
    if told.description:
        event.add("description", told.description)
    if told.location:
        event.add("location", told.location)
    event.add("url", told.url)
    if told.categories:
        event.add("categories", list(told.categories))
    return event.to_ical(sorted=False)


@pytest.mark.parametrize("text", [*TORTURE.values(), *EDGES.values()], ids=[*TORTURE, *EDGES])
def test_no_text_breaks_a_feed(text):
    feed = feed_of(item(summary="." + text, description=text, location=text, categories=(text, "b")))
    assert conformance.faults(feed) == []


@settings(max_examples=200, deadline=None)
@given(
    st.text(),
    st.text(max_size=300),
    st.text(st.sampled_from('\r\n\0\v\u2028;,:\\" BEGIN:VALARM'), max_size=99),
)
def test_any_unicode_makes_one_event_and_no_new_property(summary, description, location):
    told = item(summary="." + summary, description="." + description, location="." + location)
    feed = feed_of(told)
    assert conformance.faults(feed) == []
    assert feed.count(b"\r\nBEGIN:VEVENT\r\n") == 1
    assert judges.by_ical(feed) == [truth(told)]


def test_line_breaks_of_every_kind_become_newlines():
    assert calendars.plain_text("a\r\nb\rc\nd\x0be\x0cf\x85g\u2028h\u2029i") == "a\nb\nc\nd\ne\nf\ng\nh\ni"


def test_control_characters_go_and_marks_of_direction_stay():
    assert calendars.plain_text("a\0\x07\x1b\x7f\x9b\ud800b\t\u200f\u202e") == "ab \u200f\u202e"


def test_a_strange_address_stays_an_ascii_uri():
    feed = feed_of(item(url="https://yiqi.example.org/bookings/试 样\r\nX:1?a=1&b=%20"))
    assert conformance.faults(feed) == []
    assert b"URL:https://yiqi.example.org/bookings/%E8%AF%95%20%E6%A0%B7%0D%0AX:1?a=1&b\r\n =%20\r\n" in feed


def test_a_long_or_strange_uid_stays_one_line():
    feed = feed_of(item(uid="a" * 100 + "\r\nX-EVIL:1@" + HOST))
    assert conformance.faults(feed) == []
    assert judges.by_ical(feed)[0].uid == "a" * 100 + "X-EVIL:1@" + HOST


@pytest.mark.parametrize(
    ("status", "free", "lines"),
    [
        (Status.CONFIRMED, False, ("CONFIRMED", "OPAQUE", "BUSY")),
        (Status.TENTATIVE, False, ("TENTATIVE", "OPAQUE", "TENTATIVE")),
        (Status.CANCELLED, False, ("CANCELLED", "TRANSPARENT", "FREE")),
        (Status.CONFIRMED, True, ("CONFIRMED", "TRANSPARENT", "FREE")),
    ],
)
def test_status_transparency_and_outlooks_word_agree(status, free, lines):
    written = calendars.render_event(item(status=status, free=free)).decode()
    assert "STATUS:{}\r\nTRANSP:{}\r\nX-MICROSOFT-CDO-BUSYSTATUS:{}\r\n".format(*lines) in written


def test_times_of_any_zone_are_written_in_utc():
    shanghai = item(
        starts_at=datetime(2026, 3, 4, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai")),
        ends_at=datetime(2026, 3, 4, 11, 30, tzinfo=timezone(timedelta(hours=8))),
    )
    assert calendars.render_event(shanghai) == calendars.render_event(item())


def test_a_span_over_the_change_to_summer_time_keeps_its_length():
    berlin = ZoneInfo("Europe/Berlin")
    told = item(
        starts_at=datetime(2026, 3, 29, 1, 0, tzinfo=berlin),
        ends_at=datetime(2026, 3, 29, 4, 0, tzinfo=berlin),
    )
    (seen,) = judges.by_ical(feed_of(told))
    assert seen.end - seen.start == 2 * 3600


@pytest.mark.parametrize("field", ["starts_at", "ends_at", "created_at", "updated_at"])
def test_a_time_without_a_zone_is_refused(field):
    with pytest.raises(ValueError, match="zone"):
        calendars.render_event(item(**{field: datetime(2026, 3, 4, 2, 0)}))  # noqa: DTZ001


@pytest.mark.parametrize("length", [timedelta(0), timedelta(milliseconds=900), timedelta(hours=-1)])
def test_an_event_without_length_is_refused(length):
    with pytest.raises(ValueError, match="not after"):
        calendars.render_event(item(ends_at=item().starts_at + length))


def test_no_recurrence_no_zone_no_alarm_no_person_no_method():
    feed = feed_of(item(), item(uid=f"2@{HOST}", status=Status.CANCELLED), item(uid=f"3@{HOST}", free=True))
    for name in (
        "RRULE",
        "RDATE",
        "TZID",
        "VTIMEZONE",
        "VALARM",
        "METHOD",
        "ATTENDEE",
        "ORGANIZER",
        "VALUE=DATE:",
    ):
        assert name.encode() not in feed


# --- the calendar -------------------------------------------------------------------------------------------


def test_a_calendar_reads_like_this():
    head = FeedHead("仪起, SEM", "a; b", "teal", timedelta(minutes=90))
    assert calendars.render_feed(head, [b"<events>\r\n"]).decode().split("\r\n") == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Yiqi//Calendar feed//EN",
        "CALSCALE:GREGORIAN",
        r"NAME:仪起\, SEM",
        r"X-WR-CALNAME:仪起\, SEM",
        r"DESCRIPTION:a\; b",
        r"X-WR-CALDESC:a\; b",
        "COLOR:teal",
        "REFRESH-INTERVAL;VALUE=DURATION:PT90M",
        "X-PUBLISHED-TTL:PT90M",
        "<events>",
        "END:VCALENDAR",
        "",
    ]


def test_a_calendar_without_events_is_read():
    feed = feed_of()
    assert conformance.faults(feed) == []
    assert judges.by_ical(feed) == []
    (seen,) = judges.by_ical_js(feed)
    assert (seen["events"], seen["calendar"]["name"]) == ([], HEAD.name)


@pytest.mark.parametrize("text", ["a, b; c\\d\ne", "试" * 50, "\ufeffx\x00"])
def test_the_calendars_own_texts_are_escaped_too(text):
    feed = feed_of(item(), head=FeedHead(text, text))
    assert conformance.faults(feed) == []
    calendar = judges.by_ical_js(feed)[0]["calendar"]
    assert calendar["description"] == calendars.plain_text(text)
    # ical.js knows no type for these three and hands them over still escaped.
    raw = [
        re.sub(r"\\(.)", r"\1", calendar[name].replace("\\n", "\n"))
        for name in ("name", "x-wr-calname", "x-wr-caldesc")
    ]
    assert raw == [calendars.plain_text(text)] * 3


# --- read by others -----------------------------------------------------------------------------------------


def _torture_items() -> list[CalendarItem]:
    return [
        item(
            uid=calendars.event_uid(str(UUID(int=number)), HOST, number if number % 3 else None),
            starts_at=NOW + timedelta(hours=7 * number),
            ends_at=NOW + timedelta(hours=7 * number, minutes=10 + number),
            sequence=number,
            status=list(Status)[number % 3],
            summary=f"{number}: {text}",
            description=f"»{text}«",
            location=f"{text}.",
            # `ical` divides a category at an escaped comma.
            categories=(f"{name}: {text[:20]}".replace(",", ""), "b;c"),
            free=number % 5 == 0,
        )
        for number, (name, text) in enumerate({**TORTURE, **EDGES}.items())
    ]


def test_ical_reads_each_occurrence_and_text_as_given():
    told = _torture_items()
    feed = feed_of(*told)
    assert judges.by_ical(feed) == [truth(each) for each in told]
    assert judges.occurrences(feed) == [(seen.uid, seen.start, seen.end) for seen in map(truth, told)]


def test_ical_js_reads_each_occurrence_and_text_as_given():
    told = _torture_items()
    (seen,) = judges.by_ical_js(feed_of(*told))
    assert seen["events"] == [truth(each) for each in told]
    assert {len(names) for names in seen["properties"]} == {15}


@pytest.mark.parametrize(
    "text", [" leading", "trailing ", "\n", " ", "x" * 68 + " y" + "z" * 80, "试" * 22 + " " * 9 + "样"]
)
def test_blanks_at_the_edges_of_texts_and_lines_survive(text):
    told = item(summary="." + text + ".", description=text)
    feed = feed_of(told)
    assert judges.by_ical(feed) == [truth(told)]
    assert judges.by_ical_js(feed)[0]["events"] == [truth(told)]


def test_a_thousand_events_stay_under_a_megabyte():
    told = [
        item(
            uid=calendars.event_uid(str(UUID(int=number)), HOST),
            starts_at=NOW + timedelta(hours=number),
            ends_at=NOW + timedelta(hours=number, minutes=30),
            summary=calendars.shorten("双螺杆挤出中试线" * 20, 150),
            description=calendars.shorten("聚合物改性" * 99, 300),
            location=calendars.shorten("东莞市松山湖" * 20, 100),
        )
        for number in range(1000)
    ]
    feed = feed_of(*told)
    assert conformance.faults(feed) == []
    assert len(feed) < 1_000_000


# --- identity and versions ----------------------------------------------------------------------------------


def test_a_booking_has_one_uid_and_its_items_theirs():
    assert calendars.event_uid("b1", HOST) == "b1@yiqi.example.org"
    assert calendars.event_uid("b1", HOST, 2) == "b1-2@yiqi.example.org"


def test_a_busy_uid_lasts_and_tells_nothing():
    plain = calendars.event_uid("b1", HOST)
    hidden = calendars.busy_uid(plain, HOST, b"key")
    assert hidden == calendars.busy_uid(plain, HOST, b"key")
    assert hidden.endswith("@" + HOST)
    assert "b1" not in hidden
    assert hidden != calendars.busy_uid(plain, HOST, b"another key")
    assert hidden != calendars.busy_uid(calendars.event_uid("b2", HOST), HOST, b"key")


def test_an_entity_tag_is_strong_and_moves_with_each_part():
    parts = ("feed", NOW.date(), 17, 3, "zh")
    tags = {calendars.entity_tag(*parts[:n], "x", *parts[n + 1 :]) for n in range(len(parts))}
    tags.add(calendars.entity_tag(*parts))
    assert len(tags) == len(parts) + 1
    assert all(tag.startswith('"') and tag.endswith('"') and tag.isascii() for tag in tags)
    assert calendars.entity_tag("ab", "c") != calendars.entity_tag("a", "bc")


# --- window and cap -----------------------------------------------------------------------------------------


def test_the_window_is_whole_days_and_stands_all_day():
    first = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    spans = {calendars.window(first + timedelta(hours=hours), FeedRules()) for hours in (0, 9, 23.99)}
    assert spans == {(datetime(2026, 1, 31, tzinfo=UTC), datetime(2027, 3, 3, tzinfo=UTC))}
    (starts, ends), *_ = spans
    assert starts < NOW - timedelta(days=30) < NOW + timedelta(days=365) < ends
    assert NOW - timedelta(days=31) < starts
    assert ends < NOW + timedelta(days=366)


def test_the_window_is_counted_in_utc_whatever_the_zone_of_the_clock():
    local = datetime(2026, 3, 2, 7, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert calendars.midnight(local) == datetime(2026, 3, 1, tzinfo=UTC)


def test_over_the_cap_the_oldest_goes_first_then_the_farthest_ahead():
    told = [
        item(
            uid=f"{day}@{HOST}",
            starts_at=NOW + timedelta(days=day),
            ends_at=NOW + timedelta(days=day, hours=1),
        )
        for day in (3, -2, 0, 1, -1, 2)
    ]

    def kept(cap: int) -> list[int]:
        return [
            (each.starts_at - NOW).days
            for each in calendars.within_cap(sorted(told, key=START), now=NOW, cap=cap)
        ]

    assert kept(6) == [-2, -1, 0, 1, 2, 3]
    assert kept(5) == [-1, 0, 1, 2, 3]
    assert kept(4) == [0, 1, 2, 3]
    assert kept(2) == [0, 1]
    assert kept(0) == []


def test_what_ended_today_is_not_yet_past():
    early = item(uid=f"1@{HOST}", starts_at=NOW - timedelta(hours=9), ends_at=NOW - timedelta(hours=8))
    late = item(uid=f"2@{HOST}", starts_at=NOW + timedelta(hours=8), ends_at=NOW + timedelta(hours=9))
    assert calendars.within_cap([early, late], now=NOW, cap=1) == [early]


@given(st.text(max_size=200), st.integers(10, 100))
def test_a_shortened_text_fits_and_begins_the_same(text, octets):
    cut = calendars.shorten(text, octets)
    whole = len(text.encode("utf-8", "replace")) <= octets
    assert cut == text if whole else cut.endswith("…")
    assert len(cut.encode("utf-8", "replace")) <= octets


def test_the_rules_are_the_operators():
    rules = replace(FeedRules(), days_back=1, days_ahead=2)
    assert calendars.window(NOW, rules) == (
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 5, tzinfo=UTC),
    )


# --- the checks themselves ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"BEGIN:VCALENDAR", b"\xef\xbb\xbfBEGIN:VCALENDAR", "byte order mark"),
        (b"SEQUENCE:2\r\n", b"SEQUENCE:2\n", "CRLF"),
        (b"SEQUENCE:2\r\n", b"SEQUENCE:2\r\n\r\n", "blank"),
        (b"SEQUENCE:2", b"SEQUENCE:2" + b"0" * 70, "octets"),
        (b"SUMMARY:\xe6", b"SUMMARY:\xe6\r\n ", "UTF-8"),
        (b"SUMMARY:", b"SUMMARY:\x00", "control"),
        (b"SUMMARY:", b"SUMMARY:\xe2\x80\xa8", "line break"),
        (b"SUMMARY:", b"SUMMARY:a,", "bare"),
        (b"SUMMARY:", b"SUMMARY;X=a:", "parameters"),
        (b"VERSION:2.0", b"VERSION:1.0", "VERSION"),
        (b"REFRESH-INTERVAL;VALUE=DURATION", b"REFRESH-INTERVAL", "parameters"),
        (b"X-PUBLISHED-TTL:PT30M\r\n", b"", "without X-PUBLISHED-TTL"),
        (b"DTSTAMP:20260301T090000Z", b"DTSTAMP:20260301T100000Z", "last change"),
        (b"DTSTART:20260304T010000Z", b"DTSTART:20260304T010000", "DTSTART"),
        (b"DTEND:20260304T033000Z", b"DTEND:20260304T003000Z", "does not end"),
        (b"SEQUENCE:2\r\n", b"", "without SEQUENCE"),
        (b"SEQUENCE:2\r\n", b"SEQUENCE:2\r\nSEQUENCE:3\r\n", "has 2 SEQUENCE"),
        (b"TRANSP:OPAQUE", b"TRANSP:TRANSPARENT", "contradicts"),
        (b"SEQUENCE:2\r\n", b"SEQUENCE:2\r\nRRULE:FREQ=DAILY\r\n", "RRULE"),
        (b"CALSCALE", b"METHOD:PUBLISH\r\nCALSCALE", "METHOD"),
        (b"END:VEVENT", b"BEGIN:VALARM\r\nEND:VALARM\r\nEND:VEVENT", "VALARM"),
        (b"URL:https://yiqi", "URL:https://仪起".encode(), "URL"),
        (b"END:VCALENDAR\r\n", b"END:VCALENDAR", "does not end with"),
    ],
)
def test_the_checks_notice(old, new, fault):
    feed = feed_of(item())
    assert feed.count(old)
    assert any(fault in found for found in conformance.faults(feed.replace(old, new, 1)))


def test_the_checks_notice_twins_and_disorder():
    one, two = item(), item(uid=f"2@{HOST}", starts_at=item().starts_at - timedelta(hours=1))
    twins = calendars.render_feed(HEAD, [calendars.render_event(one)] * 2)
    disorder = calendars.render_feed(HEAD, map(calendars.render_event, (one, two)))
    assert any("occurs 2 times" in found for found in conformance.faults(twins))
    assert any("order" in found for found in conformance.faults(disorder))


# --- bounds, and busy time -------------------------------------------------------------------------


def test_bounds_by_sort_of_feed():
    known = ("me", "facility")
    assert calendars.rules_by_scope("", known) == {}
    assert calendars.rules_by_scope(" facility=7/90/2000 , me=0/1/1,", known) == {
        "facility": FeedRules(7, 90, 2000),
        "me": FeedRules(0, 1, 1),
    }


@pytest.mark.parametrize(
    "listed",
    ["facility", "facility=7/90", "facility=7/90/x", "all=1/1/1", "me=-1/1/1", "me=1/0/1", "me=1/1/0"],
)
def test_bounds_of_another_form_are_refused(listed):
    with pytest.raises(ValueError):
        calendars.rules_by_scope(listed, ("me", "facility"))


def test_nobody_reaches_farther_than_the_bounds():
    rules = FeedRules(30, 365, 1000)
    assert rules.within(None, None) == rules
    assert rules.within(0, 7) == FeedRules(0, 7, 1000)
    assert rules.within(31, 366) == rules


moments = st.integers(min_value=0, max_value=200).map(lambda hour: NOW + timedelta(hours=hour))
spans = st.tuples(moments, moments).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Span(*pair))


@given(st.dictionaries(st.sampled_from(list(Busy)), st.lists(spans, max_size=8)), spans)
def test_busy_time_is_what_its_periods_are_inside_the_window(periods, within):
    written = calendars.render_busy("busy@yiqi.example.org", within, NOW, periods)
    assert max(map(len, written.split(b"\r\n"))) <= 75
    (component,) = icalendar.Calendar.from_ical(written).walk("VFREEBUSY")
    lines = component.get("FREEBUSY", [])
    read: dict[str, list[Span]] = {}
    for line in lines if isinstance(lines, list) else [lines]:
        read.setdefault(line.params["FBTYPE"], []).append(Span(line.start, line.end))
    truth = {kind.value: intersect(periods.get(kind, ()), [within]) for kind in Busy}
    assert read == {kind: found for kind, found in truth.items() if found}

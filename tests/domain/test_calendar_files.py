"""Files of calendars in the shapes in which programs write them, and in shapes that somebody made to do harm."""

import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking.domain import calendar_files
from booking.domain.calendar_sources import Means, busy, counting
from booking.domain.foreign_calendars import BadCalendar, Limits
from booking.domain.spans import Span

CALENDARS = Path(__file__).parent / "calendars"
CHINA, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
WINTER = Span(datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC))


def read(name: str, zone=CHINA, **more):
    data = (CALENDARS / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return calendar_files.read(data, zone=zone, within=WINTER, **more)


def taken(found, **more) -> list[str]:
    spans = busy(counting(found.entries, WINTER, **{"transparent": False} | more), Means.MAINTENANCE, WINTER)
    return [f"{span.start:%m-%d %H:%M} {span.end:%m-%d %H:%M}" for span in spans]


# --- as programs write them ---------------------------------------------------------------------------------


def test_google_zones_overrides_and_whole_days_over_the_change_of_clocks():
    found = read("google.ics", NEW_YORK)
    assert (found.name, found.problems, found.cut) == ("维护计划 Maintenance", (), False)
    assert taken(found) == [
        "10-20 13:00 10-20 14:30",
        "10-31 04:00 11-02 05:00",  # 49 hours: the clock went back between
        "11-04 18:00 11-04 19:30",
        "11-10 14:00 11-10 15:30",
        "11-11 14:00 11-11 15:00",
        "11-17 14:00 11-17 15:30",
    ]
    weekly = next(one for one in found.entries if one.title == "Pump service, weekly")
    assert (weekly.organizer, weekly.people) == ("tam@example.org", ("ada@example.org",))


def test_google_whole_days_are_those_of_the_facility_wherever_the_calendar_is_at_home():
    found = taken(read("google.ics", CHINA))
    assert "10-30 16:00 11-01 16:00" in found
    assert "11-11 14:00 11-11 15:00" in found  # a floating time is meant where the calendar is at home
    assert "11-11 01:00 11-11 02:00" in taken(read("google.ics", CHINA, floating=CHINA))


def test_outlook_windows_zones_without_a_description_and_dates_named_by_their_midnight():
    found = read("outlook.ics")
    assert taken(found) == [
        "11-02 01:00 11-02 09:00",
        "11-04 05:00 11-04 09:00",
        "11-06 01:00 11-06 09:00",
        "11-09 01:00 11-09 09:00",
        "11-11 01:00 11-11 09:00",
        "11-13 01:00 11-13 09:00",
    ]
    assert "11-06 14:00 11-06 15:00" in taken(found, transparent=True)
    # A zone that nobody knows is no reason to guess.
    assert found.problems == (("040000008200E00074C5B7101A82E00800000000B1", "zone"),)


def test_apple_zones_with_old_summer_times_numbered_weekdays_and_alarms():
    found = read("apple.ics")
    assert found.problems == ()
    assert taken(found) == [
        "11-05 01:30 11-05 03:00",
        "11-06 16:00 11-07 16:00",
        "11-26 01:30 11-26 03:00",
        "12-03 01:30 12-03 03:00",
        "12-31 01:30 12-31 03:00",
    ]
    assert "校准 🔧" in {one.title for one in found.entries}


def test_proton_durations_a_cancelled_date_and_what_takes_no_time():
    assert taken(read("proton.ics")) == ["11-09 02:00 11-09 04:30", "11-11 02:00 11-11 04:30"]


def test_an_event_is_known_again_whatever_else_changes():
    keys = [one.key for one in read("google.ics").entries]
    assert len(set(keys)) == len(keys)
    assert keys == [one.key for one in read("google.ics").entries]


# --- Outlook's table ----------------------------------------------------------------------------------------


def table(*days: str, heading="Subject,Start Date,Start Time,End Date,End Time", name="a.csv") -> list[str]:
    lines = "".join(f"X,{day},10:00,{day},11:00\r\n" for day in days)
    found = calendar_files.read(
        f"{heading}\r\n{lines}".encode(),
        zone=CHINA,
        within=Span(WINTER.start - 365 * DAY, WINTER.end),
        name=name,
    )
    return [f"{one.span.start.astimezone(CHINA):%m-%d %H:%M}" for one in found.entries]


DAY = timedelta(days=1)


def test_days_are_read_in_the_order_that_the_whole_table_tells():
    assert table("03/04/2026") == ["03-04 10:00"]
    assert table("03/04/2026", "25/04/2026") == ["04-03 10:00", "04-25 10:00"]
    assert table("04.03.2026") == ["03-04 10:00"]
    chinese = "主题,开始日期,开始时间,结束日期,结束时间"
    assert table("2026/3/4", "2026年3月5日", heading=chinese) == ["03-04 10:00", "03-05 10:00"]
    assert table("13/13/2026", "31/02/2026", "never") == []


@pytest.mark.parametrize(
    ("row", "span"),
    [
        ("X,11/5/2026,9:00:00 AM,11/5/2026,1:30:00 PM,False,,2", "11-05 09:00 11-05 13:30"),
        ("X,11/5/2026,12:00:00 AM,11/5/2026,12:30:00 AM,False,,2", "11-05 00:00 11-05 00:30"),
        ("X,2026/11/5,上午 9:00,2026/11/5,下午 1:30,假,,忙", "11-05 09:00 11-05 13:30"),
        ("X,11/5/2026,12:00:00 AM,11/6/2026,12:00:00 AM,True,,2", "11-05 00:00 11-06 00:00"),
        ("X,2026/11/5,,2026/11/5,,是,,忙", "11-05 00:00 11-06 00:00"),
    ],
)
def test_a_line_of_the_table_takes_its_time(row, span):
    heading = "Subject,Start Date,Start Time,End Date,End Time,All day event,Required Attendees,Show time as"
    found = calendar_files.read(
        f"{heading}\r\n{row}\r\n{row}\r\n".encode("utf-8-sig"), zone=CHINA, within=WINTER, name="a.csv"
    )
    first, second = found.entries
    assert (
        f"{first.span.start.astimezone(CHINA):%m-%d %H:%M} {first.span.end.astimezone(CHINA):%m-%d %H:%M}"
        == span
    )
    assert first.uid != second.uid


# --- archives -----------------------------------------------------------------------------------------------


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"folder/{name.replace('_', '.')}", data)
    return made.getvalue()


def refusal(data: bytes, name: str, **limits) -> str:
    with pytest.raises(BadCalendar) as refused:
        calendar_files.read(data, zone=CHINA, within=WINTER, name=name, limits=Limits(**limits))
    return refused.value.code


def test_every_calendar_of_an_archive_is_read():
    both = zipped(
        a_ics=(CALENDARS / "apple.ics").read_bytes(),
        b_ICS=(CALENDARS / "proton.ics").read_bytes(),
        note_txt=b"x",
    )
    found = calendar_files.read(both, zone=CHINA, within=WINTER, name="Export.ZIP")
    assert {one.title for one in found.entries} >= {"Open day", "Booked"}


def test_an_archive_is_unpacked_no_farther_than_its_limit():
    bomb = zipped(a_ics=b"\0" * 50_000_000)
    assert len(bomb) < 60_000
    assert refusal(bomb, "a.zip") == "too_large"
    lying = bomb.replace((50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert refusal(lying, "a.zip") in {"too_large", "malformed"}
    many = zipped(**{f"n{n}_ics": b"x" for n in range(calendar_files.MOST_FILES + 1)})
    assert refusal(many, "a.zip") == "too_large"
    inner = zipped(inner_zip=zipped(a_ics=b"x"))
    assert refusal(inner, "a.zip") == "no_calendars"
    assert refusal(b"PK\x03\x04", "a.zip") == "malformed"


# --- whatever comes -----------------------------------------------------------------------------------------

_NAMES = st.sampled_from(["", "a.ics", "a.zip", "a.csv"])
_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    b"BEGIN:VCALENDAR\r\n",
                    b"END:VCALENDAR\r\n",
                    b"BEGIN:VEVENT\r\n",
                    b"END:VEVENT\r\n",
                    b"UID:1\r\n",
                ),
                *(b"DTSTART:20261105T090000\r\n", b"DTEND;VALUE=DATE:20261106\r\n", b"DURATION:P1D\r\n"),
                *(b"RRULE:FREQ=DAILY\r\n", b"RRULE:FREQ=SECONDLY\r\n", b"RECURRENCE-ID:20261105T000000\r\n"),
                *(
                    b"Subject,Start Date\r\n",
                    b"X,11/5/2026\r\n",
                    b"PK\x03\x04",
                    b"DTSTART;TZID=Nowhere:2026\r\n",
                ),
            ]
        ),
        st.binary(max_size=30),
    ),
    max_size=20,
)


@settings(max_examples=150)
@given(_PIECES, _NAMES)
def test_no_octets_break_it(pieces, name):
    try:
        found = calendar_files.read(b"".join(pieces), zone=NEW_YORK, within=WINTER, name=name)
    except BadCalendar:
        return
    assert len(found.entries) <= Limits().total
    assert all(one.span.start <= one.span.end for one in found.entries)

"""A process of its own reads what others wrote: it has little time and room, and no secret of ours."""

import gzip
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from booking.domain.foreign_calendars import BadCalendar
from booking.domain.spans import Span
from booking.gateways import calendar_reader

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
YEAR = Span(NOW, NOW + timedelta(days=365))


def calendar(*events: str, more: str = "") -> bytes:
    body = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{more}{body}END:VCALENDAR\r\n".encode()


def read(data: bytes, **more):
    return calendar_reader.read(data, zone="Asia/Shanghai", within=YEAR, **more)


def test_what_it_read_comes_back_as_it_was():
    found = read(
        calendar(
            "UID:1\r\nSUMMARY:维护 🔧\r\nDTSTART:20261105T010000Z\r\nDURATION:PT1H\r\n"
            "ORGANIZER:mailto:Ada@example.org\r\nATTENDEE:mailto:ben@example.org\r\nTRANSP:TRANSPARENT",
            "UID:2\r\nDTSTART:20261105\r\nRRULE:FREQ=SECONDLY",
        )
    )
    (entry,) = found.entries
    assert (entry.title, entry.organizer, entry.people) == (
        "维护 🔧",
        "ada@example.org",
        ("ben@example.org",),
    )
    assert (entry.span.start, entry.transparent) == (datetime(2026, 11, 5, 1, tzinfo=UTC), True)
    assert [uid for uid, _ in found.problems] == ["2"]


BOMBS = {
    "seconds": calendar("UID:1\r\nDTSTART:20000101T000000Z\r\nRRULE:FREQ=SECONDLY"),
    "minutes": calendar("UID:1\r\nDTSTART:20000101T000000Z\r\nRRULE:FREQ=MINUTELY;COUNT=999999999"),
    "days": calendar(*(f"UID:{n}\r\nDTSTART:19700101T000000Z\r\nRRULE:FREQ=DAILY" for n in range(5000))),
    "counted": calendar(
        *(f"UID:{n}\r\nDTSTART:19700101\r\nRRULE:FREQ=DAILY;COUNT=99999" for n in range(4000))
    ),
    "never": calendar("UID:1\r\nDTSTART:20260230T000000Z\r\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"),
    "lines": b"BEGIN:VCALENDAR\r\n" + b"X:1\r\n" * 190_000,
    "deep": b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 60_000,
    "folds": b"BEGIN:VCALENDAR\r\nX:" + b"a\r\n " * 240_000,
    "zones": calendar(
        "UID:1\r\nDTSTART;TZID=Z:20261105T000000",
        more="BEGIN:VTIMEZONE\r\nTZID:Z\r\n"
        + "BEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0000\r\nTZOFFSETTO:+0100\r\n"
        "RRULE:FREQ=SECONDLY\r\nEND:STANDARD\r\n" * 4000 + "END:VTIMEZONE\r\n",
    ),
    "guests": calendar(
        "UID:1\r\nDTSTART:20261105T010000Z\r\n" + "ATTENDEE:mailto:a@example.org\r\n" * 20_000
    ),
    "overrides": calendar(
        *(
            f"UID:1\r\nRECURRENCE-ID:20261105T{n % 24:02}0000Z\r\nDTSTART:20261105T010000Z"
            for n in range(4900)
        )
    ),
    "packed": gzip.compress(b"x" * 900_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_whatever_it_is_given_it_ends_within_its_limits(name):
    assert len(BOMBS[name]) <= calendar_reader.LIMITS.octets
    began, found = time.monotonic(), None
    with suppress(BadCalendar):
        found = read(BOMBS[name])
    assert found is None or len(found.entries) <= calendar_reader.LIMITS.total
    assert time.monotonic() - began < calendar_reader.SECONDS + 5


def test_one_that_takes_too_long_is_ended(monkeypatch, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(calendar_reader, "PROGRAM", "slow")
    with pytest.raises(BadCalendar) as refused:
        read(b"x", seconds=0.5)
    assert refused.value.code == "too_slow"


def test_one_that_dies_is_no_calendar_and_knows_none_of_our_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("YIQI_SECRET_KEY", "9f2c")
    monkeypatch.setattr(calendar_reader, "PROGRAM", "odd")
    (tmp_path / "odd.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(BadCalendar) as refused:
        read(b"x")
    assert refused.value.code == "malformed"
    told = (
        "json.dump({'name': ' '.join(os.environ), 'entries': [], 'problems': [], 'cut': False}, sys.stdout)"
    )
    (tmp_path / "odd.py").write_text(f"import json, os, sys\n{told}\n")
    assert "YIQI" not in read(b"x").name


def test_it_may_use_no_more_than_its_share():
    import subprocess
    import sys

    greedy = (
        "from booking.jobs import calendar_reader as r\n"
        "r.calendar_files.read = lambda *a, **k: bytearray(3_000_000_000)\n"
        "r.main()\n"
    )
    how = {"zone": "UTC", "floating": "", "start": NOW.isoformat(), "end": YEAR.end.isoformat()}
    how |= {"name": "", "limits": {}}
    done = subprocess.run(
        [sys.executable, "-c", greedy],
        input=json.dumps(how).encode() + b"\n",
        capture_output=True,
        check=False,
    )
    assert json.loads(done.stdout) == {"error": "too_large"}

"""Taking over a calendar's file by the page and by the command: seen first, then as it was seen."""

import base64
import io
import zipfile
import zlib
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import func, select

from booking import db
from booking.cli.data import import_
from booking.i18n import use_locale
from models import Booking, Closure
from tests.web.lab import Lab, at, text_of, value_of


def calendar(*events: tuple[str, datetime, datetime, str]) -> bytes:
    body = "".join(
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:Films {uid}\r\n"
        f"ORGANIZER;CN=x:mailto:{who}\r\n"
        f"DTSTART:{start.astimezone(UTC):%Y%m%dT%H%M%SZ}\r\nDTEND:{end.astimezone(UTC):%Y%m%dT%H%M%SZ}\r\n"
        "END:VEVENT\r\n"
        for uid, start, end, who in events
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{body}END:VCALENDAR\r\n".encode()


def file() -> bytes:
    return calendar(
        ("a", at(9), at(10), "Ada@example.org"),
        ("b", at(11), at(12), "nobody@example.net"),
        ("c", at(9), at(11), "ada@example.org"),
    )


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def send(lab, data=None, name="old.ics", **more):
    given = {"facility": "LAB", "instrument": "SEM", **more}
    if data is not None:
        given["file"] = (io.BytesIO(data), name)
    return lab.send("tam", "/calendar-import", **given)


def count(table):
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_seen_first_and_then_taken_over_as_it_was_seen(lab):
    shown = send(lab, file(), closing="1")
    said = text_of(shown.text)
    for words in (
        "1 booking, 1 closure, 1 event left out",
        "Booking of Ada",
        "Does not fit",
        "already taken",
    ):
        assert words in said
    assert (count(Booking), count(Closure)) == (0, 0)
    kept = {name: value_of(shown.text, name) for name in ("packed", "seen", "name")}
    assert send(lab, closing="1", take="1", **kept).status_code == 303
    assert (count(Booking), count(Closure)) == (1, 1)
    again = send(lab, closing="1", take="1", **kept)
    assert again.status_code == 409
    assert "Taken over before" in text_of(again.text)
    assert (count(Booking), count(Closure)) == (1, 1)


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return made.getvalue()


def test_an_archive_and_outlooks_table_are_read_too(lab):
    day = f"{at(9):%m/%d/%Y}"
    table = (
        "Subject,Start Date,Start Time,End Date,End Time,All day event,Meeting Organizer,Show time as\r\n"
        f"Films,{day},9:00:00 AM,{day},10:00:00 AM,False,Ada (ada@example.org),2\r\n"
        f"Lunch,{day},12:00:00 PM,{day},1:00:00 PM,False,,3\r\n"
    ).encode()
    said = text_of(send(lab, table, "Outlook.CSV", closing="1").text)
    for words in ("1 booking", "Booking of Ada", "Marked as free"):
        assert words in said
    packed = zipped(a_ics=file(), readme_txt=b"x")
    assert "1 booking" in text_of(send(lab, packed, "old.zip").text)


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"<html>", "old.ics", "What is there is no calendar."),
        (b"", "old.ics", "What is there is no calendar."),
        (zipped(readme_txt=b"x"), "old.zip", "There is no calendar in this archive."),
        (zipped(bomb_ics=b"\0" * 30_000_000), "old.zip", "It is too large."),
        (b"PK\x03\x04broken", "old.zip", "What is there is no calendar."),
        (b"a,b\r\n1,2\r\n", "old.csv", "What is there is no calendar."),
    ],
)
def test_what_is_no_calendar_is_told(lab, data, name, words):
    refused = send(lab, data, name)
    assert refused.status_code == 422
    assert words in text_of(refused.text)


def test_what_was_kept_between_is_trusted_no_more_than_a_file(lab):
    bomb = base64.b64encode(zlib.compress(b"\0" * 50_000_000, 9)).decode()
    for packed in ("", "§", "aGVsbG8=", bomb):
        assert send(lab, packed=packed, name="a.ics", take="1", seen="x").status_code == 422
    assert send(lab, file(), instrument="FAR-1").status_code == 422
    assert send(lab, file(), facility="FAR").status_code == 404
    assert lab.get("ada", "/calendar-import").status_code == 403


def test_the_command_does_the_same(lab, tmp_path, monkeypatch):
    old = tmp_path / "old.ics"
    old.write_bytes(file())
    monkeypatch.setenv("YIQI_DATABASE_URL", str(db.engine().url))

    def run(*more, code=0):
        given = ["calendar", str(old), "--instrument", "SEM", "--by", "tam@example.org", *more]
        with use_locale("en"):
            result = CliRunner().invoke(import_, given)
        assert result.exit_code == code, result.output + repr(result.exception)
        return result.output

    assert "1 bookings, 1 closures, 1 left out, 0 not understood." in run("--close", "--dry-run")
    assert (count(Booking), count(Closure)) == (0, 0)
    run("--close")
    assert (count(Booking), count(Closure)) == (1, 1)
    assert "0 bookings, 0 closures" in run("--close")
    assert "does not manage" in run("--by", "cleo@example.org", code=1)
    old.write_bytes(b"x")
    assert "no calendar" in run(code=1)

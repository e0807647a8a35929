from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from booking import db
from booking.cli import seed as commands
from booking.config import Settings
from booking.services import scale
from models import Booking, Instrument, Person


@pytest.fixture
def run(sqlite_url, monkeypatch):
    monkeypatch.setenv("YIQI_DATABASE_URL", sqlite_url)

    def call(*arguments, code=0):
        result = CliRunner().invoke(commands.seed, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output + repr(result.exception)
        return result.output

    yield call
    db.dispose()


def number(model):
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def test_the_demo_comes_once_and_says_who_may_sign_in(run):
    first = run("demo")
    assert "72 created" in first
    assert "tam@example.org" in first
    assert "yiqi-demo" in first
    before = number(Booking)
    assert "there already" in run("demo")
    assert (number(Booking), number(Person)) == (before, 6)


def test_set_up_brings_the_demo_only_where_nobody_is(run, sqlite_url):
    run("scale", "--instruments", 1, "--bookings", 0, "--no-check")
    people = number(Person)
    commands.demo_if_empty(Settings(database_url=sqlite_url))
    assert number(Person) == people


def test_no_demo_in_production(run, monkeypatch):
    monkeypatch.setenv("YIQI_PRODUCTION", "1")
    monkeypatch.setenv("YIQI_SECRET_KEY", "a key long enough for a production server")
    monkeypatch.setenv("YIQI_PUBLIC_URL", "https://yiqi.example.org")
    monkeypatch.setenv("YIQI_HOST_NAME", "yiqi.example.org")
    for command in ("demo", "scale"):
        assert "production" in run(command, code=1)


def test_many_rows_are_written_and_checked(run):
    output = run("scale", "--instruments", 30, "--bookings", 1000)
    assert "30 instruments, 10 people" in output
    assert "1,000 of 1,000 bookings" in output
    assert "bookings/s" in output
    assert "The ledger is sound" in output
    assert number(Booking) == 1000
    assert "1,000 of 1,000" in run("scale", "--instruments", 30, "--bookings", 1000, "--no-check")


def test_many_rows_come_at_once_into_postgresql(postgresql_url, run, monkeypatch):
    monkeypatch.setenv("YIQI_DATABASE_URL", postgresql_url)
    monkeypatch.setattr(scale, "BARE_FROM", 100)
    output = run("scale", "--instruments", 30, "--bookings", 1000)
    assert "All rows are checked and indexed" in output
    assert "The ledger is sound" in output
    assert number(Booking) == 1000


def test_nothing_is_added_beside_people_at_work_unless_told(run, sqlite_url):
    run("scale", "--instruments", 1, "--bookings", 0, "--no-check")
    with db.transaction() as session:
        session.add(Person(email="somebody@company.example", name="Somebody", created_at=datetime.now(UTC)))
    assert "--beside" in run("scale", "--instruments", 1, "--bookings", 0, code=1)
    run("scale", "--instruments", 1, "--bookings", 0, "--no-check", "--beside")
    assert number(Instrument) == 2


@pytest.mark.parametrize("arguments", [("--instruments", 0), ("--bookings", -1), ("--bookings", "many")])
def test_numbers_that_make_no_sense_are_refused(run, arguments):
    run("scale", *arguments, code=2)

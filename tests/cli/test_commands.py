"""The console's commands: what they do, what they say, and how they end."""

import io
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, text, update

from booking import cli, db
from booking.domain.access import Role
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import accounts, bookings, jobs, sign_in, tokens
from models import Event, Membership, Occupation, Person, PersonState, guards
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.jobs.sink import sink
from tests.servers import ROOT

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
def inside(database_url):
    """A transaction on the console's database."""

    def open_it():
        db.init(database_url, pool_size=2)
        return db.transaction()

    yield open_it
    db.dispose()


def test_every_command_exists_and_says_what_it_does(console):
    told = console.run("--help")
    for name in cli.COMMANDS:
        assert f"\n  {name} " in told.out
        assert "Usage: yiqi" in console.run(name, "--help").out


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "booking", "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "yiqi,")


@pytest.mark.parametrize("arguments", [["fly"], ["serve", "--port", "x"], ["users", "create"], ["backup"]])
def test_a_command_that_makes_no_sense_ends_with_2(console, arguments):
    assert "Error" in console.run(*arguments, code=2).err


def test_a_setting_that_makes_no_sense_ends_with_2_and_is_named(console, monkeypatch):
    monkeypatch.setenv("YIQI_WORKERS", "many")
    assert "YIQI_WORKERS" in console.run("check", code=2).err


def test_a_misspelt_setting_is_told(console, monkeypatch):
    monkeypatch.setenv("YIQI_PUBLIK_URL", "x")
    assert "YIQI_PUBLIK_URL is no setting" in console.run("check").err


def test_a_database_that_is_away_is_told_in_one_line(console_on):
    told = console_on("postgresql://yiqi:pass-9f2c@127.0.0.1:1/nothing").run("check", code=1)
    assert told.err.startswith("yiqi: the database cannot be reached")
    assert "Traceback" not in told.err
    assert "pass-9f2c" not in told.err + told.out


# --- setup, db, config ----------------------------------------------------------------------------


def test_setup_makes_folder_key_and_tables_and_repeats_safely(console_on, tmp_path):
    console = console_on("")
    assert "migration" in console.run("setup").out
    folder = tmp_path / "instance"
    key = (folder / "secret_key").read_text()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert console.run("setup").out == ""
    assert (folder / "secret_key").read_text() == key
    console.run("check")


def test_setup_puts_lost_guards_back(console, inside):
    with inside() as session:
        guards.drop(session.connection())
    assert "guards" in console.run("check", code=1).out
    console.run("setup")
    console.run("check")


def test_setup_with_the_demo_fills_only_an_empty_database(console, inside):
    console.run("setup", "--demo")
    with inside() as session:
        assert accounts.by_email(session, email="ada@example.org") is not None
        session.execute(update(Person).where(Person.email == "ada@example.org").values(name="Ada, again"))
    console.run("setup", "--demo")
    with inside() as session:
        assert accounts.by_email(session, email="ada@example.org").name == "Ada, again"
    assert "Everything is as it must be." in console.run("invariants").out


def test_production_has_no_demo_people(console, monkeypatch):
    monkeypatch.setenv("YIQI_PRODUCTION", "yes")
    monkeypatch.setenv("YIQI_SECRET_KEY", "k" * 40)
    assert "do not belong in production" in console.run("setup", "--demo", code=1).err


def test_production_starts_on_no_default_secret(console, monkeypatch):
    monkeypatch.setenv("YIQI_PRODUCTION", "yes")
    assert "YIQI_SECRET_KEY" in console.run("check", code=2).err


def test_the_tables_go_down_and_up(console):
    console.run("db", "downgrade", "0001")
    assert "migrations" in console.run("check", code=1).out
    console.run("db", "upgrade")
    console.run("check")
    assert "there is no revision 9" in console.run("db", "upgrade", "9", code=2).err


def test_the_settings_are_shown_without_their_secrets(console, monkeypatch):
    monkeypatch.setenv("YIQI_SMTP_URL", "smtp://yiqi:pass-9f2c@127.0.0.1")
    told = console.run("config", "show")
    assert "YIQI_THREADS=16" in told.out
    assert "YIQI_SMTP_URL=(set, not shown)" in told.out
    assert "pass-9f2c" not in told.out


# --- people ---------------------------------------------------------------------------------------


def roles(session, email) -> set[tuple]:
    person = accounts.by_email(session, email=email)
    return {
        (row.role, row.facility_id)
        for row in session.scalars(select(Membership).where(Membership.person_id == person.id))
    }


def test_the_first_administrator_is_made_at_the_console(console, inside):
    told = console.run("users", "create", "Root@example.org", "--role", "administrator", "--name", "Root")
    assert "/password-resets" in told.out
    with inside() as session:
        assert accounts.by_email(session, email="root@example.org").name == "Root"
        assert roles(session, "root@example.org") == {(Role.ADMINISTRATOR, None)}


def test_an_existing_person_is_given_a_further_role_once(console, inside):
    with inside() as session:
        place = make_facility(session, code="PILOT").id
    console.run("users", "create", "tam@example.org")
    for _ in range(2):
        told = console.run("users", "create", "tam@example.org", "--role", "manager", "--facility", "PILOT")
        assert "exists already and is manager" in told.out
    with inside() as session:
        assert roles(session, "tam@example.org") == {(Role.MANAGER, place)}


def test_a_password_comes_by_standard_input(console, inside, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("paper kite over Dongguan\n"))
    console.run("users", "create", "ada@example.org", "--password-stdin")
    with inside() as session:
        kept = accounts.by_email(session, email="ada@example.org").password_hash
    assert accounts.matches(kept, "paper kite over Dongguan")


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["ada"], 1, "email"),
        (["ada@example.org", "--role", "manager"], 1, "place"),
        (["ada@example.org", "--role", "manager", "--facility", "NOWHERE"], 1, "place"),
        (["ada@example.org", "--role", "manager", "--facility", "A", "--network", "B"], 2, "one place"),
        (["ada@example.org", "--role", "king"], 2, "king"),
    ],
)
def test_an_account_that_makes_no_sense_is_not_made(console, inside, arguments, code, why):
    assert why in console.run("users", "create", *arguments, code=code).err
    with inside() as session:
        assert session.scalars(select(Person)).all() == []


def test_a_token_stands_alone_on_the_last_line_and_works(console, inside):
    console.run("users", "create", "ada@example.org")
    told = console.run("users", "token", "ada@example.org", "--scope", "read", "--scope", "book")
    assert told.out.count("\n") == 1
    with inside() as session:
        found = tokens.by_secret(session, secret=told.out.strip(), now=datetime.now(UTC))
        assert found.actor.email == "ada@example.org"
        assert {scope.value for scope in found.actor.scopes} == {"read", "book"}


def test_there_is_no_token_for_nobody(console):
    assert (
        "there is no person eva@example.org" in console.run("users", "token", "eva@example.org", code=1).err
    )


def test_a_disabled_person_is_out_at_once(console, inside):
    console.run("users", "create", "ada@example.org")
    secret = console.run("users", "token", "ada@example.org").out.strip()
    with inside() as session:
        person_id = accounts.by_email(session, email="ada@example.org").id
        sign_in.start(
            session,
            person_id=person_id,
            agent="",
            address="",
            lifetime=timedelta(days=1),
            now=datetime.now(UTC),
        )
    console.run("users", "disable", "ada@example.org")
    with inside() as session:
        assert session.get(Person, person_id).state is PersonState.DISABLED
        assert tokens.by_secret(session, secret=secret, now=datetime.now(UTC)) is None
    assert "disabled" in console.run("users", "list").out


def test_people_are_listed_with_their_roles(console, inside):
    with inside() as session:
        cast.tam(session, make_facility(session, code="PILOT"))
        cast.root(session)
        cast.ben(session)
    told = console.run("users", "list")
    assert "manager of PILOT" in told.out
    assert "member of UNI" in told.out
    assert len(told.out.splitlines()) == 3
    assert console.run("users", "list", "ro", "ot").out.split()[0] == "root@example.org"
    assert console.run("users", "list", "nobody").out == ""


# --- looking --------------------------------------------------------------------------------------


def test_the_invariants_name_what_is_wrong_and_end_with_1(console, inside):
    assert "Everything is as it must be." in console.run("invariants").out
    with inside() as session:
        sem = make_instrument(session, code="SEM")
        ada = cast.actor_of(session, cast.ada(session))
        span = Span(NOW, NOW + timedelta(hours=1))
        booking = bookings.place(session, actor=ada, items=[Item(sem.id, span)], now=NOW)
        session.flush()
        session.execute(delete(Occupation))
    told = console.run("invariants", code=1)
    assert f"missing_time: booking {booking.id} (confirmed) holds no SEM" in told.out
    assert "1 things are wrong." in told.out


def test_the_doctor_finds_a_fresh_server_healthy_and_says_what_to_think_of(console):
    console.run("setup")
    told = console.run("doctor")
    assert "✗" not in told.out
    for thought in (
        "production mode is off",
        "nobody administers",
        "the jobs have never run",
        "last backup: never",
    ):
        assert f"! {thought}" in told.out


def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(console, inside, monkeypatch):
    console.run("setup")
    with inside() as session:
        guards.drop(session.connection())
        jobs.failed(session, job="deliver", error="Unreachable: no route", now=datetime.now(UTC))
        session.add(Event(at=NOW, kind="booking.placed"))
    monkeypatch.setenv("YIQI_SMTP_URL", "smtp://127.0.0.1:1")
    monkeypatch.setenv("YIQI_PRODUCTION", "yes")
    monkeypatch.setenv("YIQI_SECRET_KEY", "k" * 40)
    told = console.run("doctor", code=1)
    for fault in (
        "guards: missing",
        "outbox: 1 waiting",
        "job deliver fails: Unreachable",
        "http://127.0.0.1:8000",
    ):
        assert [line for line in told.out.splitlines() if line.startswith("✗") and fault in line]
    assert "the mail server does not take us in" in told.out
    assert told.out.count("→") >= told.out.count("✗")


def test_the_doctor_without_a_database_says_so(console_on, tmp_path):
    (tmp_path / "instance").mkdir()
    told = console_on("postgresql://yiqi@127.0.0.1:1/nothing").run("doctor", code=1)
    assert "✗ the database cannot be reached" in told.out


def test_the_doctor_tries_the_mail_server_without_sending(console, monkeypatch):
    console.run("setup")
    with sink() as server:
        monkeypatch.setenv("YIQI_SMTP_URL", server.url)
        assert "✓ the mail server takes us in" in console.run("doctor").out
        assert server.messages == []


def test_production_wants_commits_that_outlive_a_power_loss(console_on, postgresql_url, monkeypatch):
    """The tests' own PostgreSQL runs without."""
    monkeypatch.setenv("YIQI_PRODUCTION", "yes")
    monkeypatch.setenv("YIQI_SECRET_KEY", "k" * 40)
    assert "durability" in console_on(postgresql_url).run("check", code=1).out


def test_a_database_that_cannot_be_written_is_told(console_on, sqlite_url):
    with db.make_engine(sqlite_url).connect() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num TEXT CHECK (version_num <> ''))"
        )
        connection.execute(text("INSERT INTO alembic_version VALUES (:at)"), {"at": db.newest_migration()})
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE UPDATE ON alembic_version"
            " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        connection.commit()
    assert "read_only: database or disk is full" in console_on(sqlite_url).run("check", code=1).out

"""Backup and restore: everything comes back, on either engine, or nothing changes."""

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select, text

from booking import db
from booking.domain.access import SYSTEM
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.gateways import files
from booking.services import accounts, approvals, backups, bookings, closures, notifications, tokens
from models import Base, Booking, CalendarLink, CalendarScope, ClosureKind, Event, Occupation, Privacy, guards
from tests import cast
from tests.factories import make_instrument, make_network

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
# The first release left none of these open.
SHEET = {"notice_minutes": 0, "setup_minutes": 0, "cleanup_minutes": 0}


@pytest.fixture
def other_url(databases, dialect) -> Iterator[str]:
    """An empty database of the same engine."""
    url = databases.clone(dialect)
    yield url
    databases.drop(url)


@pytest.fixture
def foreign_url(databases, dialect) -> Iterator[str]:
    """An empty database of the other engine."""
    url = databases.clone("sqlite" if dialect == "postgresql" else "postgresql")
    yield url
    databases.drop(url)


@contextmanager
def using(url: str) -> Iterator[None]:
    db.init(url, pool_size=4)
    try:
        yield
    finally:
        db.dispose()


def fill(url: str) -> None:
    """Something of everything, with what is hard to carry over."""
    with using(url), db.transaction() as session:
        sem = make_instrument(
            session,
            code="SEM",
            name_zh="扫描电镜 🔬",
            price=100,
            capabilities=["imaging"],
            **SHEET | {"setup_minutes": 15},
        )
        furnace = make_instrument(session, facility=sem.facility, approval_required=True, **SHEET)
        line = make_instrument(session, facility=sem.facility, stations=[sem, furnace], **SHEET)
        make_network(session, sem.facility)
        ada = cast.actor_of(session, cast.ada(session))
        tam = cast.actor_of(session, cast.tam(session, sem.facility))
        cast.root(session)
        for hour, instrument in enumerate([sem, furnace, line], start=4):
            place(
                session,
                ada,
                instrument,
                hour,
                purpose='Line one\nline "two", ’ \\ \t 中文 🧪',
                key=f"k{hour}",
            )
        waiting = place(session, ada, furnace, 20)
        approvals.approve(session, actor=tam, booking_id=waiting.id, comment="ja", now=NOW)
        bookings.cancel(session, actor=ada, booking_id=place(session, ada, sem, 30).id, now=NOW)
        used = place(session, ada, sem, 0)
        bookings.check_in(session, actor=ada, booking_id=used.id, now=NOW)
        bookings.check_out(session, actor=ada, booking_id=used.id, now=NOW + HOUR / 2)
        bookings.feedback(
            session, actor=ada, booking_id=used.id, rating=5, condition="", comment="", now=NOW + HOUR
        )
        closures.make(
            session,
            actor=tam,
            facility_id=sem.facility_id,
            instrument_id=None,
            span=Span(NOW + 50 * HOUR, NOW + 60 * HOUR),
            kind=ClosureKind.MAINTENANCE,
            reason="",
            imposed=False,
            now=NOW,
        )
        tokens.make(
            session,
            actor=SYSTEM,
            person_id=ada.person_id,
            name="t",
            scopes=["read"],
            expires_at=None,
            now=NOW,
        )
        session.add(
            CalendarLink(
                person_id=ada.person_id,
                secret_hash=bytes(range(32)),
                scope=CalendarScope.ME,
                privacy=Privacy.FULL,
                created_at=NOW,
            )
        )
        accounts.ask_reset(session, email="ada@example.org", key="k", now=NOW)
        notifications.dispatch(session, remind=(60, 1440), now=NOW)


def place(session, actor, instrument, hour, **more) -> Booking:
    span = Span(NOW + hour * HOUR, NOW + (hour + 1) * HOUR)
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span)], now=NOW, **more)


def content(url: str) -> dict[str, list[str]]:
    """Every row of a backup's tables, in an order of their own."""
    with using(url), db.reading() as session:
        return {
            name: sorted(
                json.dumps(row, sort_keys=True) for row in backups.rows(session, name) if name != "job_run"
            )
            for name in backups.tables()
        }


def test_everything_comes_back_on_the_same_engine(console_on, database_url, other_url, tmp_path):
    fill(database_url)
    told = console_on(database_url).run("backup", tmp_path / "b.zip")
    before = content(database_url)
    assert sum(map(len, before.values())) > 80
    assert f"{sum(map(len, before.values()))} rows" in told.out
    told = console_on(other_url).run("restore", tmp_path / "b.zip")
    assert "Everything is as it must be." in told.out
    assert content(other_url) == before


def test_everything_comes_back_on_the_other_engine(console_on, database_url, foreign_url, tmp_path):
    fill(database_url)
    console_on(database_url).run("backup", tmp_path / "b.zip")
    console_on(foreign_url).run("restore", tmp_path / "b.zip")
    assert content(foreign_url) == content(database_url)
    # And back again.
    console_on(foreign_url).run("backup", tmp_path / "c.zip")
    console_on(database_url).run("restore", "--force", tmp_path / "c.zip")
    assert content(database_url) == content(foreign_url)


def test_every_table_is_in_a_backup_or_left_out_for_a_reason():
    assert set(backups.tables()) | backups.LEFT_OUT == set(Base.metadata.tables)


def test_no_session_link_or_counter_is_in_it(console_on, database_url, tmp_path):
    fill(database_url)
    console_on(database_url).run("backup", tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as zipped:
        names = set(zipped.namelist())
    assert names == {"manifest.json", *(f"{name}.jsonl" for name in backups.tables())}
    assert not names & {"sign_in.jsonl", "one_time_link.jsonl", "rate_limit.jsonl"}


def test_only_its_owner_may_read_it(console, tmp_path):
    console.run("backup", tmp_path / "b.zip")
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0


def test_afterwards_guards_stand_and_new_rows_follow_the_old(console_on, database_url, other_url, tmp_path):
    fill(database_url)
    console_on(database_url).run("backup", tmp_path / "b.zip")
    console_on(other_url).run("restore", tmp_path / "b.zip")
    with using(other_url), db.transaction() as session:
        assert guards.missing(session.connection()) == []
        last = session.scalar(select(func.max(Event.id)))
        ada = cast.actor_of(session, cast.ada(session))
        sem = make_instrument(session)
        booking = place(session, ada, sem, 100)
        session.flush()
        event = session.scalars(select(Event).where(Event.booking_id == booking.id)).one()
        assert event.id > last
        (taken,) = session.scalars(select(Occupation).where(Occupation.booking_id == booking.id))
        assert taken.id == session.scalar(select(func.max(Occupation.id)))


def test_when_a_backup_was_made_can_be_known(console, database_url, tmp_path):
    console.run("backup", tmp_path / "b.zip")
    with using(database_url), db.reading() as session:
        run = session.execute(text("SELECT job, succeeded_at FROM job_run")).one()
    assert run.job == "backup"
    assert run.succeeded_at is not None


# --- refusals -------------------------------------------------------------------------------------


def test_nothing_is_restored_over_rows_unless_forced(console_on, database_url, other_url, tmp_path):
    fill(database_url)
    console_on(database_url).run("backup", tmp_path / "b.zip")
    with using(other_url), db.transaction() as session:
        cast.cleo(session)
    before = content(other_url)
    told = console_on(other_url).run("restore", tmp_path / "b.zip", code=1)
    assert "not empty" in told.err
    assert content(other_url) == before
    console_on(other_url).run("restore", "--force", tmp_path / "b.zip")
    assert content(other_url) == content(database_url)


def spoil(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Write the archive anew with changed members."""
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content_ in members.items():
            zipped.writestr(name, content_)


def another_name(members) -> None:
    members["person.jsonl"] = members["person.jsonl"].replace(b"Ada", b"Eva")


def a_row_less(members) -> None:
    members["event.jsonl"] = members["event.jsonl"].partition(b"\n")[2]


def no_table(members) -> None:
    del members["occupation.jsonl"]


def no_manifest(members) -> None:
    del members["manifest.json"]


def edited(members, **changes) -> None:
    members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | changes).encode()


def of_the_future(members) -> None:
    edited(members, revision="9999")


def of_another_format(members) -> None:
    edited(members, format=2)


def with_a_strange_table(members) -> None:
    tables = json.loads(members["manifest.json"])["tables"]
    edited(members, tables=[{**tables[0], "table": "pg_authid"}])
    members["pg_authid.jsonl"] = members[f"{tables[0]['table']}.jsonl"]


def with_a_strange_column(members) -> None:
    tables = json.loads(members["manifest.json"])["tables"]
    tables[0]["columns"][0][0] = 'id") FROM STDIN; DROP TABLE person; --'
    edited(members, tables=tables)


@pytest.fixture
def backup_of_sqlite(console_on, sqlite_url, tmp_path) -> Path:
    fill(sqlite_url)
    console_on(sqlite_url).run("backup", tmp_path / "b.zip")
    return tmp_path / "b.zip"


@pytest.mark.parametrize(
    "change",
    [another_name, a_row_less, no_table, no_manifest, of_the_future, of_another_format],
    ids=lambda change: change.__name__,
)
def test_a_spoilt_backup_changes_nothing(console_on, sqlite_url, backup_of_sqlite, change):
    before = content(sqlite_url)
    spoil(backup_of_sqlite, change)
    told = console_on(sqlite_url).run("restore", "--force", backup_of_sqlite, code=1)
    assert "cannot be restored" in told.err
    assert content(sqlite_url) == before


@pytest.mark.parametrize(
    "change", [with_a_strange_table, with_a_strange_column], ids=lambda change: change.__name__
)
def test_a_backup_with_strange_tables_or_columns_changes_nothing(console, database_url, tmp_path, change):
    fill(database_url)
    console.run("backup", tmp_path / "b.zip")
    before = content(database_url)
    spoil(tmp_path / "b.zip", change)
    told = console.run("restore", "--force", tmp_path / "b.zip", code=1)
    assert "cannot be restored" in told.err
    assert content(database_url) == before
    with using(database_url), db.reading() as session:
        assert guards.missing(session.connection()) == []


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_torn_file_is_no_backup(console_on, sqlite_url, backup_of_sqlite, size):
    whole = backup_of_sqlite.read_bytes()
    backup_of_sqlite.write_bytes(whole[: len(whole) - 1 - size] if size else b"")
    told = console_on(sqlite_url).run("restore", "--force", backup_of_sqlite, code=1)
    assert "cannot be restored" in told.err


def test_a_backup_that_breaks_off_leaves_no_file(console, database_url, tmp_path, monkeypatch):
    fill(database_url)
    (tmp_path / "b.zip").write_bytes(b"the one of yesterday")

    def full(_session, _table):
        yield from ()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "rows", full)
    with pytest.raises(OSError, match="No space"):
        console.run("backup", tmp_path / "b.zip")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["b.zip"]
    assert (tmp_path / "b.zip").read_bytes() == b"the one of yesterday"


def test_verifying_touches_no_database(console, database_url, tmp_path):
    fill(database_url)
    console.run("backup", tmp_path / "b.zip")
    before = content(database_url)
    told = console.run("restore", "--verify", tmp_path / "b.zip")
    assert "Everything is as it must be." in told.out
    assert content(database_url) == before


def first_release(path: Path) -> dict[str, set[str]]:
    """The tables of the first migration with their columns."""
    url = f"sqlite:///{path}"
    db.upgrade(url, "0001")
    engine = db.make_engine(url)
    try:
        found = inspect(engine)
        return {table: {row["name"] for row in found.get_columns(table)} for table in found.get_table_names()}
    finally:
        engine.dispose()


def as_then(found: dict[str, list[str]], then: dict[str, set[str]]) -> dict[str, list[list[object]]]:
    """What of it the first release knew."""
    kept = {
        table: [n for n, (name, _) in enumerate(backups.columns(table)) if name in then[table]]
        for table in found
        if table in then
    }
    rows = {table: [json.loads(row) for row in found[table]] for table in kept}
    return {table: [[row[n] for n in kept[table]] for row in rows[table]] for table in kept}


def test_a_backup_of_an_older_release_goes_the_way_of_every_upgrade(
    console_on, database_url, other_url, tmp_path
):
    fill(database_url)
    console_on(database_url).run("backup", tmp_path / "new.zip")
    then = first_release(tmp_path / "first.sqlite3")
    with (
        files.archive_from(tmp_path / "new.zip") as new,
        files.archive_to(tmp_path / "old.zip", revision="0001", made_at="then") as old,
    ):
        for member in new.members:
            if member.table in then:
                kept = [n for n, (name, _) in enumerate(member.columns) if name in then[member.table]]
                rows = ([row[n] for n in kept] for row in new.rows(member))
                old.add(member.table, [member.columns[n] for n in kept], rows)
    console_on(other_url).run("restore", tmp_path / "old.zip")
    restored, before = content(other_url), content(database_url)
    assert as_then(restored, then) == as_then(before, then)
    assert all(rows == [] for name, rows in restored.items() if name not in then)


# --- under load -----------------------------------------------------------------------------------


def test_a_backup_under_load_holds_all_that_was_acknowledged_before_it(
    console_on, database_url, other_url, tmp_path
):
    """And nothing by halves: what came meanwhile is in it whole or not at all."""
    acknowledged: list[str] = []
    stop = threading.Event()
    faults: list[Exception] = []
    begun = threading.Semaphore(0)

    def book(number: int) -> None:
        hour = 0
        try:
            while not stop.is_set():
                with db.transaction() as session:
                    booking = place(session, ada, places[number], hour)
                acknowledged.append(str(booking.id))
                begun.release()
                hour += 1
        except Exception as error:  # noqa: BLE001 - told below, where the test can fail
            faults.append(error)

    with using(database_url):
        with db.transaction() as session:
            places = [make_instrument(session) for _ in range(3)]
            ada = cast.actor_of(session, cast.ada(session))
        threads = [threading.Thread(target=book, args=[number]) for number in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(30):
            begun.acquire(timeout=60)
        held = []
        for number in range(3):
            held.append(list(acknowledged))
            with db.reading() as session, files.archive_to(tmp_path / f"{number}.zip", **about()) as archive:
                backups.snapshot(session)
                for name in backups.tables():
                    archive.add(name, backups.columns(name), backups.rows(session, name))
            for _ in range(10):
                begun.acquire(timeout=60)
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []
    for number, before in enumerate(held):
        told = console_on(other_url).run("restore", "--force", tmp_path / f"{number}.zip")
        assert "Everything is as it must be." in told.out
        with using(other_url), db.reading() as session:
            there = {str(found) for found in session.scalars(select(Booking.id))}
        assert set(before) <= there
        assert there <= set(acknowledged)


def about() -> dict[str, str]:
    return {"revision": db.newest_migration(), "made_at": "now"}

"""Two independent readers and the database agree, occurrence by occurrence, on whatever makes calendars stumble.

The world is full of it: words in many scripts, escapes, whole days closed, a facility in New York on both nights on
which its clocks change, what was cancelled, moved, awaits approval or is confidential, and ten thousand events.
"""

import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import select, update

from booking import db
from booking.domain.hours import instant, zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.feeds import rendering
from booking.services import approvals, bookings, closures, facilities
from models import Booking, BookingItem, Closure, ClosureKind, Instrument, Occupation, Person
from tests import cast
from tests.domain.test_calendars import TORTURE
from tests.factories import make_facility, make_instrument, make_network
from tests.feeds import conformance, judges
from tests.feeds.world import FACILITY, FULL, INSTRUMENT, NETWORK, SUMMARY, World, build, copies, fill

NEW_YORK = zone("America/New_York")
NIGHTS = (date(2026, 11, 1), date(2027, 3, 14))
"""On which the clocks of New York change: one day has 25 hours, the other 23."""


class Seen(NamedTuple):
    """What of an event may not be wrong, whatever the reader."""

    uid: str
    start: int
    end: int
    status: str
    sequence: int


def seen(events: Iterable[judges.Seen]) -> list[Seen]:
    return [Seen(event.uid, event.start, event.end, event.status, event.sequence) for event in events]


@pytest.fixture
def torture(world_on_both: World) -> World:
    """Ada's and others' bookings of every sort, at home and in New York."""
    world = world_on_both
    with db.transaction() as session:
        there = make_facility(
            session,
            code="NYC",
            name_zh="纽约平台",
            name_en="Platform; New York, \\ NY",
            zone="America/New_York",
        )
        make_instrument(session, facility=there, code="NY", name_en="Électron, 🧪; \\Beam", units=3)
        make_instrument(session, facility=there, code="ASKS", name_en="On request", approval_required=True)
        make_network(session, there, facilities.by_code(session, code=world.facility), code="NET")
        person = session.scalars(select(Person).where(Person.name == "Tam")).one()
        person.name = 'T. "Tam" Ünïcode; 谭, x'
        world.people["nina"] = cast.tam(session, there).id
    for n, text in enumerate(TORTURE.values()):
        world.book(
            "ada", 3 * n + 1, 3 * n + 2, purpose=text.encode(errors="ignore").decode().replace("\x00", "")
        )
    _nights(world)
    cancelled, moved = world.book("ada", 30 * 24, 30 * 24 + 1), world.book("ada", 31 * 24, 31 * 24 + 1)
    with db.transaction() as session:
        ada, place = world.actor(session, "ada"), session.scalars(select(Instrument.id)).first()
        bookings.cancel(session, actor=ada, booking_id=cancelled, now=world.now)
        later = Span(world.now + timedelta(days=32), world.now + timedelta(days=32, minutes=90))
        for version in (1, 2):
            span = Span(later.start, later.end + timedelta(minutes=15 * version))
            bookings.change(
                session,
                actor=ada,
                booking_id=moved,
                version=version,
                items=[Item(place, span)],
                now=world.now,
            )
    world.book("ada", 34 * 24, 34 * 24 + 2, code="ASKS", purpose="Pending")
    world.book("cleo", 35 * 24, 35 * 24 + 3, purpose="CanaryPurpose")
    with db.transaction() as session:
        both = [
            Item(
                row.id,
                Span(world.now + timedelta(days=36 + n), world.now + timedelta(days=36 + n, hours=2)),
                1,
            )
            for n, row in enumerate(
                session.scalars(select(Instrument).where(Instrument.code.in_(("NY", "SEM"))))
            )
        ]
        bookings.place(session, actor=world.actor(session, "ada"), items=both, now=world.now)
    return world


def _nights(world: World) -> None:
    """Book an hour before, over and after each change of the clocks, and close that whole day."""
    for day in NIGHTS:
        for minute in (0, 60, 120, 180, 240):
            start = instant(day, minute, NEW_YORK)
            hours = (start - world.now) / timedelta(hours=1)
            world.book("ada", hours, hours + 1.5, code="NY", purpose=f"{day} {minute // 60}:00")
        with db.transaction() as session:
            there = facilities.by_code(session, code="NYC")
            starts = (
                instant(day, 0, NEW_YORK),
                instant(day + timedelta(days=1), 0, NEW_YORK),
            )
            closures.make(
                session,
                actor=cast.actor_of(session, cast.root(session)),
                facility_id=there.id,
                instrument_id=None,
                span=Span(*starts),
                kind=ClosureKind.CLOSURE,
                reason="Feiertag; 假日, \\ all day",
                imposed=True,
                now=world.now - timedelta(days=60),
            )


# --- the truth, read from the tables by other ways than the feed's ---------------------------------


def uid_of(row: Booking) -> dict[int, str]:
    """Give the UID of each item: one for all that share a span."""
    spans = {(item.starts_at, item.ends_at) for item in row.items}
    return {
        item.position: f"{row.id}@yiqi.local" if len(spans) == 1 else f"{row.id}-{item.position}@yiqi.local"
        for item in row.items
    }


STATUS = {State.REQUESTED: "TENTATIVE", State.CANCELLED: "CANCELLED"}


def of_bookings(rows: Iterable[Booking], places: set[int], *, cancelled: bool = False) -> set[Seen]:
    found = set()
    for row in rows:
        if row.state is State.CANCELLED and not cancelled:
            continue
        uids = uid_of(row)
        found |= {
            Seen(
                uids[item.position],
                int(item.starts_at.timestamp()),
                int(item.ends_at.timestamp()),
                STATUS.get(row.state, "CONFIRMED"),
                row.sequence,
            )
            for item in row.items
            if item.instrument_id in places
        }
    return found


def truth(world: World, owner: str, codes: set[str], *, cancelled: bool = False) -> set[Seen]:
    with db.reading() as session:
        places = set(session.scalars(select(Instrument.id).where(Instrument.code.in_(codes))))
        query = bookings._loaded().where(Booking.person_id == world.people[owner])
        return of_bookings(session.scalars(query).unique(), places, cancelled=cancelled)


EVERYWHERE = {"SEM", "NY", "ASKS"}


def read(world: World, path: str) -> list[Seen]:
    """Read a feed by two readers that must agree in every word, and by the timeline of one of them."""
    feed = world.get(path).data
    assert conformance.faults(feed) == []
    strict, lenient = judges.by_ical(feed), judges.by_ical_js(feed)[0]["events"]
    assert strict == lenient
    assert sorted(judges.occurrences(feed)) == sorted((event.uid, event.start, event.end) for event in strict)
    return seen(strict)


# --- agreement -------------------------------------------------------------------------------------


def test_ones_own_feed_is_the_database_occurrence_by_occurrence(torture):
    world = torture
    path = world.make()
    assert set(read(world, path)) == truth(world, "ada", EVERYWHERE)
    assert set(read(world, f"{path}?cancelled=1")) == truth(world, "ada", EVERYWHERE, cancelled=True)
    events = {event.uid: event for event in judges.by_ical(world.get(path).data)}
    with db.reading() as session:
        rows = session.scalars(select(Booking).where(Booking.person_id == world.people["ada"])).all()
    for row in rows:
        told = events.get(f"{row.id}@yiqi.local")
        if told is not None and len(row.purpose.encode()) < 400:
            assert (told.description or "") == rendering.ical.plain_text(row.purpose)
    assert max(event.sequence for event in events.values()) == 2
    assert {event.status for event in events.values()} == {"CONFIRMED", "TENTATIVE"}


def test_an_instruments_feed_has_ones_own_and_masks_the_rest(torture):
    world = torture
    with db.reading() as session:
        cleos = session.scalars(select(Booking).where(Booking.person_id == world.people["cleo"])).one()
    found = read(world, world.make("ada", INSTRUMENT, "SEM"))
    mine = truth(world, "ada", {"SEM"})
    (masked,) = set(found) - mine
    assert set(found) - {masked} == mine
    assert (masked.start, masked.end) == (int(cleos.starts_at.timestamp()), int(cleos.ends_at.timestamp()))
    assert (masked.status, masked.sequence) == ("CONFIRMED", 0)
    assert str(cleos.id) not in masked.uid


def test_whole_days_closed_are_days_of_the_facilitys_clock(torture):
    world = torture
    found = read(world, world.make("nina", FACILITY, "NYC"))
    with db.reading() as session:
        closed = {
            Seen(
                f"{row.id}@yiqi.local",
                int(row.starts_at.timestamp()),
                int(row.ends_at.timestamp()),
                "CONFIRMED",
                0,
            )
            for row in session.scalars(select(Closure))
        }
    assert len(closed) == 2
    assert set(found) == closed | truth(world, "ada", {"NY", "ASKS"})
    hours = sorted((event.end - event.start) // 3600 for event in closed)
    assert hours == [23, 25]
    starts = {datetime.fromtimestamp(event.start, NEW_YORK).strftime("%H:%M") for event in closed}
    assert starts == {"00:00"}


def test_over_the_change_of_the_clocks_an_hour_is_an_hour(torture):
    world = torture
    found = read(world, world.make("ada", INSTRUMENT, "NY"))
    nights = sorted(event.start for event in found if event.end - event.start == 5400)
    local = [datetime.fromtimestamp(start, NEW_YORK).strftime("%d %H:%M %z") for start in nights]
    assert local == [
        "01 00:00 -0400",
        "01 01:00 -0400",
        "01 02:00 -0500",
        "01 03:00 -0500",
        "01 04:00 -0500",
        "14 00:00 -0500",
        "14 01:00 -0500",
        "14 03:00 -0400",
        "14 03:00 -0400",
        "14 04:00 -0400",
    ]


def test_a_network_masks_who_and_why_and_names_every_place(torture):
    world = torture
    feed = world.get(world.make("cleo", NETWORK, "NET", SUMMARY)).data
    assert conformance.faults(feed) == []
    events = judges.by_ical(feed)
    assert events == judges.by_ical_js(feed)[0]["events"]
    with db.reading() as session:
        rows = session.scalars(select(Occupation)).all()
    assert sorted((event.start, event.end) for event in events) == sorted(
        (int(row.use_starts_at.timestamp()), int(row.use_ends_at.timestamp())) for row in rows
    )
    assert len({event.uid for event in events}) == len(events)
    assert not any(event.sequence for event in events if event.summary.startswith("Taken"))
    told = feed.decode().replace("\r\n ", "")
    for secret in ("Ada", "Pending", "2026-11-01 0:00", "Feiertag"):
        assert secret not in told


def test_no_feed_of_another_tells_what_is_confidential(torture):
    world = torture
    for owner, scope, subject in (
        ("ada", INSTRUMENT, "SEM"),
        ("tam", FACILITY, world.facility),
        ("ada", NETWORK, "NET"),
    ):
        assert "Canary" not in world.get(world.make(owner, scope, subject, FULL)).text.replace("\r\n ", "")


def test_a_day_later_the_bytes_are_the_same(torture):
    world = torture
    paths = [
        world.make(),
        world.make("ada", INSTRUMENT, "NY"),
        world.make("nina", FACILITY, "NYC"),
        world.make("cleo", NETWORK, "NET", SUMMARY),
    ]
    before = [world.get(path).data for path in paths]
    world.now += timedelta(days=1)
    rendering.shelf = rendering.Shelf(most=100)
    for copy in copies(world):
        copy.unlink()
    assert [world.get(path).data for path in paths] == before


@pytest.mark.parametrize("seed", range(4))
def test_over_any_edits_the_figures_move_with_what_is_seen(world, seed):
    """LAST-MODIFIED rises with each visible edit, SEQUENCE with each move, and the UID stays, whatever is done."""
    rng = random.Random(seed)
    with db.transaction() as session:
        session.execute(update(Instrument).values(approval_required=bool(seed % 2)))
    key = world.book("ada", 24 * 20, 24 * 20 + 1, purpose="first")
    path = world.make(cancelled=True)
    (before,) = judges.by_ical(world.get(path).data)
    for step in range(14):
        world.now += timedelta(minutes=rng.randint(1, 90))
        deed = "cancel" if step == 13 else rng.choice(["move", "say", "nothing", "approve"])
        _do(world, key, deed, rng)
        (after,) = judges.by_ical(world.get(path).data)
        assert after.uid == before.uid
        assert after.sequence >= before.sequence
        assert after.changed >= before.changed
        moved = (after.start, after.end, after.status) != (before.start, before.end, before.status)
        assert not moved or after.sequence > before.sequence
        shown = after._replace(changed=0, sequence=0) != before._replace(changed=0, sequence=0)
        assert not shown or after.changed == int(world.now.timestamp()) > before.changed
        before = after
    assert before.status == "CANCELLED"


def _do(world: World, key: UUID, deed: str, rng: random.Random) -> None:
    with db.transaction() as session:
        ada, row = world.actor(session, "ada"), session.get_one(Booking, key)
        if deed == "move":
            start = world.now.replace(minute=0) + timedelta(days=20, hours=rng.randint(0, 200))
            place = session.scalars(
                select(BookingItem.instrument_id).where(BookingItem.booking_id == key)
            ).one()
            items = [Item(place, Span(start, start + timedelta(hours=rng.randint(1, 4))))]
            bookings.change(session, actor=ada, booking_id=key, version=None, items=items, now=world.now)
        elif deed == "say":
            purpose = f"purpose {rng.random()}"
            bookings.change(session, actor=ada, booking_id=key, version=None, purpose=purpose, now=world.now)
        elif deed == "approve" and row.state is State.REQUESTED:
            approvals.approve(session, actor=world.actor(session, "tam"), booking_id=key, now=world.now)
        elif deed == "cancel":
            bookings.cancel(session, actor=ada, booking_id=key, now=world.now)


def test_two_readers_agree_on_ten_thousand_events(make_app, sqlite_url, now, monkeypatch):
    world = build(make_app(sqlite_url, feed_events=10_000), now, monkeypatch)
    fill(world, [n % 8000 for n in range(10_000)])
    feed = world.get(world.make(privacy=SUMMARY)).data
    assert conformance.faults(feed) == []
    (read_js,) = judges.by_ical_js(feed)
    with db.reading() as session:
        rows = session.scalars(select(Booking)).all()
    expected = {
        (f"{row.id}@yiqi.local", int(row.starts_at.timestamp()), int(row.ends_at.timestamp())) for row in rows
    }
    assert {(event.uid, event.start, event.end) for event in read_js["events"]} == expected
    assert len(read_js["events"]) == len(expected) == 10_000
    assert {(event.uid, event.start, event.end) for event in judges.by_ical(feed)} == expected

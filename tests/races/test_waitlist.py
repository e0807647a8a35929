"""Holds and offers that many want at once, on both engines: one has it, and nobody twice."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import func, select

from booking import db
from booking.domain.access import Actor
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.jobs import waitlist as job
from booking.services import bookings, holds, making_room, offers, turns, waitlist
from booking.services.bookings import Stale
from models import (
    Booking,
    EntryState,
    Event,
    Hold,
    Occupation,
    OfferState,
    Person,
    WaitlistEntry,
    WaitlistOffer,
)
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.races.world import BASE, assert_never_overbooked, together

CLIENTS = 8
KEY = "the key"


@pytest.fixture(autouse=True)
def _database(database_url):
    db.init(database_url, pool_size=CLIENTS)
    yield
    db.dispose()


def hour(start: float, length: float = 1) -> Span:
    """From a day after BASE on, which is the clock of these tests."""
    return Span(BASE + timedelta(hours=24 + start), BASE + timedelta(hours=24 + start + length))


def world(instruments: int = 1) -> tuple[list[int], dict[str, Actor]]:
    with db.transaction() as session:
        lab = make_facility(session)
        places = [make_instrument(session, lab).id for _ in range(instruments)]
        people = {
            name: cast.actor_of(session, getattr(cast, name)(session)) for name in ("ada", "ben", "cleo")
        }
    return places, people


def many(count: int) -> list[Actor]:
    """Some more people, who have no name in these tests."""
    with db.transaction() as session:
        rows = [
            Person(email=f"someone-{n}@example.org", name=f"Someone {n}", created_at=cast.JOINED)
            for n in range(count)
        ]
        session.add_all(rows)
        session.flush()
        return [cast.actor_of(session, row) for row in rows]


def place(actor: Actor, instrument_id: int, span: Span, now: datetime = BASE) -> UUID:
    with db.transaction() as session:
        return bookings.place(session, actor=actor, items=[Item(instrument_id, span)], now=now).id


def cancel(actor: Actor, booking_id: UUID) -> None:
    with db.transaction() as session:
        bookings.cancel(session, actor=actor, booking_id=booking_id, now=BASE)


def join(actor: Actor, places: list[int], span: Span, now: datetime = BASE) -> UUID:
    with db.transaction() as session:
        return waitlist.join(
            session,
            actor=actor,
            instrument_ids=places,
            window=span,
            minutes=int(span.minutes),
            now=now,
        ).id


def turn(now: datetime = BASE) -> None:
    job.turn(KEY, lambda: False, now=now)


def open_offers() -> list[WaitlistOffer]:
    with db.reading() as session:
        return list(session.scalars(select(WaitlistOffer).where(WaitlistOffer.state == OfferState.OPEN)))


def test_one_offer_accepted_many_times_at_once_is_one_booking(database_url):
    (sem,), people = world()
    for number in range(4):
        join(people["cleo"], [sem], hour(number))
        turn()
        (offer,) = open_offers()
        made: list[UUID] = []

        def accept(offer_id: UUID = offer.id, made: list[UUID] = made) -> None:
            with db.transaction() as session:
                made.append(offers.accept(session, actor=people["cleo"], offer_id=offer_id, now=BASE).id)

        together(*[accept] * CLIENTS)
        assert len(made) == CLIENTS
        assert len(set(made)) == 1
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Booking)) == 4
        kinds = Counter(session.scalars(select(Event.kind)))
    assert kinds["waitlist.taken"] == kinds["booking.placed"] == 4
    assert_never_overbooked(database_url)


def test_accepting_meets_the_deadline_and_one_of_them_counts(database_url):
    (sem,), people = world()
    seen = Counter()
    for number in range(6):
        first = join(people["cleo"], [sem], hour(number))
        join(people["ben"], [sem], hour(number), BASE + timedelta(minutes=1))
        turn()
        offer = next(one for one in open_offers() if one.entry_id == first)

        def accept(offer: WaitlistOffer = offer) -> None:
            with suppress(Refused), db.transaction() as session:
                at = offer.deadline - timedelta(seconds=1)
                offers.accept(session, actor=people["cleo"], offer_id=offer.id, now=at)

        together(accept, partial(turn, offer.deadline))
        turn(offer.deadline)
        with db.reading() as session:
            state = session.get_one(WaitlistOffer, offer.id).state
            booked = session.scalar(select(func.count()).where(Booking.starts_at == hour(number).start))
            others = session.scalars(
                select(WaitlistOffer.state).where(
                    WaitlistOffer.starts_at == hour(number).start, WaitlistOffer.id != offer.id
                )
            ).all()
        seen[state] += 1
        if state is OfferState.TAKEN:
            assert (booked, others) == (1, [])
        else:
            assert (state, booked, others) == (OfferState.SILENT, 0, [OfferState.OPEN])
    assert sum(seen.values()) == 6
    assert_never_overbooked(database_url)


def test_several_jobs_at_once_offer_each_time_to_one_person(database_url):
    places, people = world(3)
    booked = [place(people["ada"], sem, hour(n)) for sem in places for n in range(2)]
    crowd = many(12)
    for n, someone in enumerate(crowd):
        join(someone, places, hour(n % 2), BASE + timedelta(minutes=n))
    turn()
    together(*(partial(cancel, people["ada"], one) for one in booked), *[turn] * 4)
    together(*[turn] * 4)
    found = open_offers()
    assert len(found) == 6
    assert max(Counter(one.entry_id for one in found).values()) == 1
    assert max(Counter((one.instrument_id, one.starts_at) for one in found).values()) == 1
    with db.reading() as session:
        told = Counter(session.scalars(select(Event.kind)))
        offered = session.scalars(
            select(WaitlistEntry).where(WaitlistEntry.state == EntryState.OFFERED)
        ).all()
    assert told["waitlist.offered"] == len(offered) == 6
    early = sorted(one.joined_at for one in offered)
    assert early == [BASE + timedelta(minutes=n) for n in range(6)]
    assert_never_overbooked(database_url)


def test_who_joins_while_the_time_comes_free_is_asked():
    (sem,), people = world()
    for n in range(10):
        booking_id = place(people["ada"], sem, hour(n))
        together(partial(cancel, people["ada"], booking_id), partial(join, people["cleo"], [sem], hour(n)))
        turn()
        assert len(open_offers()) == n + 1


def test_leaving_meets_the_offer_and_the_time_is_kept_for_nobody():
    (sem,), people = world()
    for n in range(8):
        entry_id = join(people["cleo"], [sem], hour(n))

        def leave(entry_id: UUID = entry_id) -> None:
            while True:
                with suppress(Stale), db.transaction() as session:
                    waitlist.leave(session, actor=people["cleo"], entry_id=entry_id, now=BASE)
                    return

        together(leave, turn)
        with db.reading() as session:
            assert session.get_one(WaitlistEntry, entry_id).state is EntryState.LEFT
            assert session.scalar(select(func.count()).select_from(Occupation)) == 0
        assert open_offers() == []


def attempt(work: Callable[[], object], won: list[object], lock: threading.Lock) -> None:
    with suppress(Refused):
        found = work()
        with lock:
            won.append(found)


def test_of_many_who_hold_one_time_at_once_one_has_it(database_url):
    (sem,), _people = world()
    crowd, lock = many(CLIENTS), threading.Lock()
    for n in range(4):
        won: list[object] = []

        def take(who: Actor, n: int = n) -> UUID:
            with db.transaction() as session:
                return holds.take(session, actor=who, items=[Item(sem, hour(n))], now=BASE).id

        together(*(partial(attempt, partial(take, who), won, lock) for who in crowd))
        assert len(won) == 1
    with db.reading() as session:
        # Who won again gave up what they had held.
        count = session.scalar(select(func.count()).where(Occupation.kind == Kind.HOLD))
        assert count == session.scalar(select(func.count()).select_from(Hold))
    assert_never_overbooked(database_url)


def test_a_person_who_holds_many_times_at_once_has_one(database_url):
    places, people = world(CLIENTS)
    lock = threading.Lock()
    for n in range(4):
        won: list[object] = []

        def take(sem: int, n: int = n) -> UUID:
            with db.transaction() as session:
                return holds.take(session, actor=people["ada"], items=[Item(sem, hour(n))], now=BASE).id

        together(*(partial(attempt, partial(take, sem), won, lock) for sem in places))
        assert won
        with db.reading() as session:
            assert session.scalar(select(func.count()).where(Occupation.kind == Kind.HOLD)) == 1
            assert session.scalar(select(func.count()).select_from(Hold)) == 1


def test_the_hold_ends_as_another_books(database_url):
    """At the very instant of its end either may have the time, never both."""
    (sem,), people = world()
    for n in range(6):
        with db.transaction() as session:
            held = holds.take(session, actor=people["ada"], items=[Item(sem, hour(n))], now=BASE)
        won: list[object] = []
        lock = threading.Lock()
        mine = partial(place, people["ada"], sem, hour(n), held.expires_at - timedelta(seconds=1))
        theirs = partial(place, people["cleo"], sem, hour(n), held.expires_at)
        together(partial(attempt, mine, won, lock), partial(attempt, theirs, won, lock))
        assert len(won) == 1
    assert_never_overbooked(database_url)


# --- making room ----------------------------------------------------------------------------------


def test_a_shift_and_a_booking_by_hand_at_the_same_moment(database_url: str) -> None:
    """Ada's booking would go to where Ben books: either it makes room for Cleo, or he has the time; never both."""
    ((place_id,), people) = world()
    ada, ben, cleo = people["ada"], people["ben"], people["cleo"]
    day = 24
    willing = place(ada, place_id, hour(day + 2, 2))
    with db.transaction() as session:
        session.get_one(Booking, willing).makes_room = True
    # All but the two hours before hers is taken for days, so that she can only go there.
    place(ben, place_id, hour(day - 30, 30))
    place(ben, place_id, hour(day + 6, 60))
    with db.transaction() as session:
        waitlist.join(
            session,
            actor=cleo,
            instrument_ids=[place_id],
            window=hour(day + 2, 4),
            minutes=240,
            at_once=True,
            now=BASE,
        )
    with db.reading() as session:
        (freed,) = turns.work(session)
        room = making_room.find(session, freed=freed, now=BASE)
    assert room is not None
    assert [shift.span for shift in room.shifts] == [hour(day, 2)]

    outcome: Counter[str] = Counter()

    def make() -> None:
        with db.transaction() as session:
            made = making_room.make(session, room=room, key=KEY, now=BASE)
        outcome["room" if made is not None else "no room"] += 1

    def book() -> None:
        try:
            place(ben, place_id, hour(day, 2))
        except Refused:
            outcome["refused"] += 1
        else:
            outcome["booked"] += 1

    together(make, book, book)
    assert outcome in (
        Counter({"room": 1, "refused": 2}),
        Counter({"no room": 1, "booked": 1, "refused": 1}),
    )
    assert_never_overbooked(database_url)
    with db.reading() as session:
        row = session.get_one(Booking, willing)
        moved = (row.starts_at, row.sequence) == (hour(day, 2).start, 1)
        entry = session.scalars(select(WaitlistEntry)).one()
        assert moved == (outcome["room"] == 1) == (entry.state is EntryState.SERVED)
        assert moved or (row.starts_at, row.sequence) == (hour(day + 2, 2).start, 0)

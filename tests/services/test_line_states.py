"""Holds, the line and bookings driven at random on both engines, against what must hold of them at every moment."""

import contextlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound
from booking.domain.lifecycle import HOLDS, State, WrongMove
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Refused
from booking.domain.spans import Load, Span, peak
from booking.services import bookings, holds, occupation, offers, turns, waitlist
from models import (
    Booking,
    EntryState,
    Freed,
    Hold,
    Instrument,
    Occupation,
    OfferState,
    WaitlistEntry,
    WaitlistOffer,
)
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
NAMES = ("ada", "ben", "cleo")
SLOTS = 4  # half hours that anybody asks for, a day ahead

who = st.sampled_from(NAMES)
where = st.integers(0, 1)
slots = st.tuples(st.integers(0, SLOTS - 1), st.integers(1, 2))


def span(slot: tuple[int, int]) -> Span:
    start = NOW + timedelta(hours=24, minutes=30 * slot[0])
    return Span(start, start + timedelta(minutes=30 * slot[1]))


class Line(RuleBasedStateMachine):
    """One instrument of one unit and one of two; three people; a clock that only goes on."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(self.engine.execution_options(write=True), expire_on_commit=False)
        lab = make_facility(self.session)
        self.places = [make_instrument(self.session, lab, units=units).id for units in (1, 2)]
        self.people: dict[str, Actor] = {
            name: cast.actor_of(self.session, getattr(cast, name)(self.session)) for name in NAMES
        }
        self.now = NOW
        self.settled = False

    def teardown(self) -> None:
        self.session.rollback()
        self.session.close()

    def attempt(self, work: Any) -> None:
        """Do what may be refused; what was refused leaves nothing behind."""
        self.settled = False
        # No two deeds at one instant: what happens must not hang on ids, which are random.
        self.now += timedelta(seconds=1)
        with contextlib.suppress(Refused, WrongMove, NotFound), self.session.begin_nested():
            work()

    def items(self, place: int, slot: tuple[int, int], quantity: int) -> list[Item]:
        return [Item(self.places[place], span(slot), quantity)]

    # --- what people do

    @rule(name=who, place=where, slot=slots, quantity=st.integers(1, 2))
    def book(self, name: str, place: int, slot: tuple[int, int], quantity: int) -> None:
        self.attempt(
            lambda: bookings.place(
                self.session,
                actor=self.people[name],
                items=self.items(place, slot, quantity),
                now=self.now,
            )
        )

    @rule(name=who, place=where, slot=slots, quantity=st.integers(1, 2))
    def hold(self, name: str, place: int, slot: tuple[int, int], quantity: int) -> None:
        self.attempt(
            lambda: holds.take(
                self.session, actor=self.people[name], items=self.items(place, slot, quantity), now=self.now
            )
        )

    @rule(name=who)
    def renew(self, name: str) -> None:
        held = holds.current(self.session, actor=self.people[name], now=self.now)
        if held is not None:
            self.attempt(
                lambda: holds.renew(self.session, actor=self.people[name], hold_id=held.id, now=self.now)
            )

    @rule(name=who, slot=slots, which=st.integers(0, 5))
    def move(self, name: str, slot: tuple[int, int], which: int) -> None:
        own = self.of(name)
        if own:
            booking = own[which % len(own)]
            items = [Item(row.instrument_id, span(slot), row.quantity) for row in booking.items]
            self.attempt(
                lambda: bookings.change(
                    self.session,
                    actor=self.people[name],
                    booking_id=booking.id,
                    version=None,
                    items=items,
                    now=self.now,
                )
            )

    @rule(name=who, which=st.integers(0, 5))
    def cancel(self, name: str, which: int) -> None:
        own = self.of(name)
        if own:
            booking = own[which % len(own)]
            self.attempt(
                lambda: bookings.cancel(
                    self.session, actor=self.people[name], booking_id=booking.id, now=self.now
                )
            )

    @rule(
        name=who,
        places=st.sampled_from([(0,), (1,), (0, 1)]),
        slot=slots,
        more=st.integers(0, 2),
        quantity=st.integers(1, 2),
    )
    def join(
        self, name: str, places: tuple[int, ...], slot: tuple[int, int], more: int, quantity: int
    ) -> None:
        window = span(slot)
        wide = Span(window.start, window.end + timedelta(minutes=30 * more))
        self.attempt(
            lambda: waitlist.join(
                self.session,
                actor=self.people[name],
                instrument_ids=[self.places[place] for place in places],
                window=wide,
                minutes=int(window.minutes),
                quantity=quantity,
                now=self.now,
            )
        )

    @precondition(lambda self: self.open_offers())
    @rule(which=st.integers(0, 5), answer=st.sampled_from(["accept", "decline", "leave"]))
    def answer(self, which: int, answer: str) -> None:
        found = self.open_offers()
        offer = found[which % len(found)]
        entry = self.session.get_one(WaitlistEntry, offer.entry_id)
        actor = next(one for one in self.people.values() if one.person_id == entry.person_id)
        if answer == "leave":
            self.attempt(lambda: waitlist.leave(self.session, actor=actor, entry_id=entry.id, now=self.now))
        elif answer == "accept":
            self.attempt(lambda: offers.accept(self.session, actor=actor, offer_id=offer.id, now=self.now))
            if offer.deadline > self.now:
                # What was offered can be had until the deadline, whatever the others did meanwhile.
                assert offer.state is OfferState.TAKEN
        else:
            self.attempt(lambda: offers.decline(self.session, actor=actor, offer_id=offer.id, now=self.now))

    # --- what happens by itself

    @rule()
    def take_turns(self) -> None:
        """Do what the job does; nobody can have anything more after it."""
        for offer_id in offers.unanswered(self.session, now=self.now):
            assert offers.pass_on(self.session, offer_id=offer_id, now=self.now)
        for freed in turns.work(self.session):
            tried: set[Any] = set()
            while (choice := turns.choose(self.session, freed=freed, skip=tried, now=self.now)) is not None:
                tried.add(choice.entry_id)
                assert offers.offer(self.session, choice=choice, key="x", now=self.now) is not None
            turns.done(self.session, freed=freed)
        self.settled = not self.session.scalars(select(Freed)).all()

    @rule()
    def release_holds(self) -> None:
        occupation.release_expired(self.session, now=self.now)

    @rule(minutes=st.sampled_from([1, 4, 5, 30, 60]))
    def wait(self, minutes: int) -> None:
        later = self.now + timedelta(minutes=minutes)
        if later < NOW + timedelta(hours=20):
            self.now = later
            self.settled = False

    # --- what must hold

    def of(self, name: str) -> list[Booking]:
        person = self.people[name].person_id
        rows, _total = bookings.listing(self.session, actor=self.people[name], mine=True)
        own = [row for row in rows if row.person_id == person and row.state is State.CONFIRMED]
        return sorted(own, key=lambda row: row.created_at)

    def open_offers(self) -> list[WaitlistOffer]:
        query = (
            select(WaitlistOffer)
            .join(WaitlistEntry, WaitlistEntry.id == WaitlistOffer.entry_id)
            .where(WaitlistOffer.state == OfferState.OPEN)
        )
        return list(self.session.scalars(query.order_by(WaitlistEntry.joined_at)))

    def ledger(self) -> list[Occupation]:
        return list(self.session.scalars(select(Occupation).execution_options(populate_existing=True)))

    @invariant()
    def nothing_overlaps(self) -> None:
        for place, units in zip(self.places, (1, 2), strict=True):
            loads = [
                Load(row.starts_at, row.ends_at, row.quantity)
                for row in self.ledger()
                if row.instrument_id == place
            ]
            assert peak(loads, Span(NOW, NOW + timedelta(days=2))) <= units

    @invariant()
    def bookings_have_their_time(self) -> None:
        held = Counter(row.booking_id for row in self.ledger() if row.kind is Kind.BOOKING)
        living = self.session.scalars(select(Booking.id).where(Booking.state.in_(HOLDS))).all()
        assert held == Counter(living)

    @invariant()
    def a_person_holds_one_time(self) -> None:
        own = Counter(row.person_id for row in self.ledger() if row.kind is Kind.HOLD and row.person_id)
        assert all(count == 1 for count in own.values())
        assert len(self.session.scalars(select(Hold.id).where(~Hold.offered)).all()) <= len(NAMES)

    @invariant()
    def offers_and_places_agree(self) -> None:
        found = self.open_offers()
        entries = self.session.scalars(select(WaitlistEntry)).all()
        offered = {entry.id for entry in entries if entry.state is EntryState.OFFERED}
        assert sorted(offer.entry_id for offer in found) == sorted(offered)
        rows = {row.hold_id: row for row in self.ledger() if row.kind is Kind.HOLD}
        for offer in found:
            if offer.deadline > self.now:
                row = rows[offer.hold_id]
                assert (row.instrument_id, row.starts_at, row.ends_at, row.person_id) == (
                    offer.instrument_id,
                    offer.starts_at,
                    offer.ends_at,
                    None,
                )
        for entry in entries:
            assert (entry.state is EntryState.SERVED) == (entry.booking_id is not None)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """After the line had its turn, whoever waits for a fixed time waits because it is taken, or was let pass."""
        if not self.settled:
            return
        passed = self.session.scalars(
            select(WaitlistOffer).where(WaitlistOffer.state.in_(turns.PASSED))
        ).all()
        for entry in self.session.scalars(
            select(WaitlistEntry).where(WaitlistEntry.state == EntryState.WAITING)
        ):
            window = Span(entry.window_starts_at, entry.window_ends_at)
            if window.minutes != entry.minutes:
                continue
            self.session.refresh(entry, ["places"])
            for place in entry.places:
                had = any(
                    one.entry_id == entry.id
                    and one.instrument_id == place.instrument_id
                    and Span(one.starts_at, one.ends_at).overlaps(window)
                    for one in passed
                )
                units = self.session.get_one(Instrument, place.instrument_id).units
                loads = [
                    Load(row.starts_at, row.ends_at, row.quantity)
                    for row in self.ledger()
                    if row.instrument_id == place.instrument_id
                    and (row.expires_at is None or row.expires_at > self.now)
                ]
                assert had or peak(loads, window) + entry.quantity > units


def test_the_line_keeps_its_promises(engine: Engine) -> None:
    machine = type("LineOnThisEngine", (Line,), {"engine": engine})
    few = settings(
        max_examples=15,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=few)

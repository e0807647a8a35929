"""The whole life of bookings against a model, on both engines: nothing overlaps, is lost, offered twice or mistold.

The model knows what must be taken by now, and by whom; time passes by minutes, and jobs run late or not at all.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.db import make_engine
from booking.domain.access import SYSTEM, NotFound
from booking.domain.lifecycle import HOLDS, State
from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import (
    approvals,
    attendance,
    bookings,
    expiry,
    holds,
    notifications,
    offers,
    turns,
    waitlist,
)
from models import (
    Ban,
    Booking,
    Delivery,
    EntryState,
    Event,
    Hold,
    Occupation,
    OfferState,
    WaitlistEntry,
    WaitlistOffer,
)
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
UNITS = {"free": 1, "asked": 1, "pool": 2}
PEOPLE = ("ada", "ben", "cleo")
GRACE = 30
names = st.sampled_from(sorted(UNITS))
people = st.sampled_from(PEOPLE)
soon = st.integers(0, 14)
quarters = st.integers(1, 6)

Row = tuple[str, int, int, int]  # instrument, first and last minute, units


@dataclass
class Known:
    """What the model knows of a booking; `row` is what it has in the ledger, None when it has nothing there."""

    owner: str
    state: State
    use: Row
    row: Row | None


@dataclass
class Line:
    """What the model knows of a place in the line."""

    owner: str
    name: str
    window: tuple[int, int]
    minutes: int
    quantity: int
    state: EntryState = EntryState.WAITING


@dataclass
class Model:
    """All that the model knows. Holds and offers are (owner, row, last minute)."""

    minute: int = 0
    booked: dict[UUID, Known] = field(default_factory=dict)
    held: dict[UUID, tuple[str, Row, int]] = field(default_factory=dict)
    line: dict[UUID, Line] = field(default_factory=dict)
    offers: dict[UUID, tuple[UUID, Row, float]] = field(default_factory=dict)

    def rows(self, *, but: UUID | None = None, held_by: str | None = None) -> list[Row]:
        """All that is taken now, without one booking or offer and without what one person holds."""
        kept = [one.row for key, one in self.booked.items() if one.row is not None and key != but]
        kept += [row for owner, row, until in self.held.values() if until > self.minute and owner != held_by]
        return kept + [
            row for key, (_, row, until) in self.offers.items() if until > self.minute and key != but
        ]

    def fits(self, wanted: Row, *, but: UUID | None = None, held_by: str | None = None) -> bool:
        """Tell the slow way whether there is room."""
        name, start, end, quantity = wanted
        others = [row for row in self.rows(but=but, held_by=held_by) if row[0] == name]
        return quantity + most(others, start, end) <= UNITS[name]


def most(rows: list[Row], start: int, end: int) -> int:
    """The most units taken at any minute of a stretch."""
    return max(sum(q for _, a, b, q in rows if a <= minute < b) for minute in range(start, end))


class Life(RuleBasedStateMachine):
    """What people, managers and jobs do, in any order."""

    url: str

    @initialize()
    def begin(self) -> None:
        self.engine = make_engine(self.url, pool_size=2)
        self.session = Session(self.engine.execution_options(write=True), expire_on_commit=False)
        facility = make_facility(self.session)
        self.rows = {
            name: make_instrument(
                self.session, facility=facility, units=units, approval_required=name == "asked"
            )
            for name, units in UNITS.items()
        }
        self.who = {name: cast.actor_of(self.session, getattr(cast, name)(self.session)) for name in PEOPLE}
        self.tam = cast.actor_of(self.session, cast.tam(self.session, facility))
        self.names = {row.id: name for name, row in self.rows.items()}
        self.model = Model()

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.rollback()
            self.session.close()
            self.engine.dispose()

    # --- between the model and the system ---

    @property
    def now(self) -> datetime:
        return NOW + timedelta(minutes=self.model.minute)

    def at(self, minute: int) -> datetime:
        return NOW + timedelta(minutes=minute)

    def minute(self, at: datetime) -> int:
        return int((at - NOW).total_seconds()) // 60

    def attempt(self, command: Any) -> Any:
        """Run a command all or nothing, as an edge does."""
        try:
            with self.session.begin_nested():
                return command()
        except Refused as refused:
            self.session.expire_all()
            return refused

    def wanted(self, name: str, start: int, length: int, quantity: int) -> Row:
        first = 15 * (-(-self.model.minute // 15) + start)
        return name, first, first + 15 * length, quantity

    def item(self, row: Row) -> Item:
        name, start, end, quantity = row
        return Item(self.rows[name].id, Span(self.at(start), self.at(end)), quantity)

    def banned(self, outcome: Any, owner: str) -> bool:
        """Whoever stayed away too often is refused; the ban must be there."""
        if not isinstance(outcome, Refused) or {r.code for r in outcome.reasons} - {"taken"} != {"banned"}:
            return False
        bans = select(Ban.id).where(Ban.person_id == self.who[owner].person_id, Ban.ends_at > self.now)
        assert self.session.scalars(bans).first() is not None
        return True

    def some(self, data: Any, *states: State) -> tuple[UUID, Known]:
        keys = [key for key, one in self.model.booked.items() if one.state in states]
        key = data.draw(st.sampled_from(keys))
        return key, self.model.booked[key]

    def any_in(*states: State) -> Any:
        return precondition(lambda self: any(one.state in states for one in self.model.booked.values()))

    def forget_used_holds(self) -> None:
        """A hold that was booked is gone; what is left of others must be whole."""
        there = set(self.session.scalars(select(Occupation.hold_id).where(Occupation.hold_id.is_not(None))))
        self.model.held = {key: one for key, one in self.model.held.items() if key in there}

    # --- people ---

    @rule(who=people, name=names, start=soon, length=quarters, quantity=st.integers(1, 2))
    def place(self, who: str, name: str, start: int, length: int, quantity: int) -> None:
        row = self.wanted(name, start, length, quantity)
        made = self.attempt(
            lambda: bookings.place(self.session, actor=self.who[who], items=[self.item(row)], now=self.now)
        )
        if self.banned(made, who):
            return
        if quantity <= UNITS[name] and self.model.fits(row, held_by=who):
            assert isinstance(made, Booking), made
            self.booked(made, who, row)
        else:
            assert isinstance(made, Refused)
            assert {"taken", "too_many_units"} & {reason.code for reason in made.reasons}

    def booked(self, made: Booking, who: str, row: Row) -> None:
        state = State.REQUESTED if row[0] == "asked" else State.CONFIRMED
        assert made.state is state
        assert made.person_id == self.who[who].person_id
        self.model.booked[made.id] = Known(who, state, row, row)
        self.forget_used_holds()

    @rule(who=people, name=names, start=soon, length=quarters)
    def hold(self, who: str, name: str, start: int, length: int) -> None:
        row = self.wanted(name, start, length, 1)
        made = self.attempt(
            lambda: holds.take(self.session, actor=self.who[who], items=[self.item(row)], now=self.now)
        )
        if self.banned(made, who):
            return
        if self.model.fits(row, held_by=who):
            assert isinstance(made, Hold), made
            self.model.held = {key: one for key, one in self.model.held.items() if one[0] != who}
            self.model.held[made.id] = who, row, self.minute(made.expires_at)
        else:
            assert isinstance(made, Refused)

    @any_in(State.CONFIRMED, State.REQUESTED)
    @rule(data=st.data(), start=soon, length=quarters)
    def move(self, data: Any, start: int, length: int) -> None:
        key, one = self.some(data, State.CONFIRMED, State.REQUESTED)
        if one.use[1] <= self.model.minute:
            return
        row = self.wanted(one.use[0], start, length, one.use[3])
        moved = self.attempt(
            lambda: bookings.change(
                self.session,
                actor=self.who[one.owner],
                booking_id=key,
                version=None,
                items=[self.item(row)],
                now=self.now,
            )
        )
        if self.banned(moved, one.owner):
            return
        if not self.model.fits(row, but=key, held_by=one.owner):
            assert isinstance(moved, Refused)
            return
        assert isinstance(moved, Booking), moved
        grows = row[1] < one.use[1] or one.use[2] < row[2]
        if grows and one.use[0] == "asked":
            one.state = State.REQUESTED
        assert moved.state is one.state
        one.use = one.row = row
        self.forget_used_holds()

    @any_in(State.CONFIRMED, State.REQUESTED)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        key, one = self.some(data, State.CONFIRMED, State.REQUESTED)
        actor = self.who[one.owner]
        gone = self.attempt(lambda: bookings.cancel(self.session, actor=actor, booking_id=key, now=self.now))
        if one.use[1] <= self.model.minute:
            assert isinstance(gone, Refused)
            return
        one.state = State.WITHDRAWN if one.state is State.REQUESTED else State.CANCELLED
        one.row = None
        assert gone.state is one.state

    @any_in(State.CONFIRMED)
    @rule(data=st.data())
    def check_in(self, data: Any) -> None:
        key, one = self.some(data, State.CONFIRMED)
        actor = self.who[one.owner]
        come = self.attempt(
            lambda: bookings.check_in(self.session, actor=actor, booking_id=key, now=self.now)
        )
        start, end = one.use[1], one.use[2]
        if start <= self.model.minute < min(start + GRACE, end):
            one.state = State.CHECKED_IN
            assert come.state is State.CHECKED_IN
        else:
            assert isinstance(come, Refused)

    @any_in(State.CHECKED_IN)
    @rule(data=st.data())
    def check_out(self, data: Any) -> None:
        key, one = self.some(data, State.CHECKED_IN)
        bookings.check_out(self.session, actor=self.who[one.owner], booking_id=key, now=self.now)
        one.state = State.ENDED
        name, start, end, quantity = one.use
        left = min(end, self.model.minute)
        one.row = (name, start, left, quantity) if start < left else None

    @rule(who=people, name=names, start=soon, length=quarters, spare=st.integers(0, 6))
    def join(self, who: str, name: str, start: int, length: int, spare: int) -> None:
        row = self.wanted(name, start + 1, length, 1)
        window = row[1], row[2] + 15 * spare
        entry = self.attempt(
            lambda: waitlist.join(
                self.session,
                actor=self.who[who],
                instrument_ids=[self.rows[name].id],
                window=Span(self.at(window[0]), self.at(window[1])),
                minutes=15 * length,
                now=self.now,
            )
        )
        if isinstance(entry, WaitlistEntry) and entry.id not in self.model.line:
            self.model.line[entry.id] = Line(who, name, window, 15 * length, 1)

    @precondition(lambda self: self.model.offers)
    @rule(data=st.data(), yes=st.booleans(), other=people)
    def answer(self, data: Any, yes: bool, other: str) -> None:
        key = data.draw(st.sampled_from(list(self.model.offers)))
        entry_id, row, until = self.model.offers[key]
        line = self.model.line[entry_id]
        if other != line.owner:
            self.nobody_else_answers(key, other)
        command = offers.accept if yes else offers.decline
        done = self.attempt(
            lambda: command(self.session, actor=self.who[line.owner], offer_id=key, now=self.now)
        )
        if yes and until <= self.model.minute:
            assert isinstance(done, Refused)
            return
        if self.banned(done, line.owner):
            return
        del self.model.offers[key]
        if yes:
            assert isinstance(done, Booking), done
            line.state = EntryState.SERVED
            self.booked(done, line.owner, row)
        else:
            line.state = done.state

    def nobody_else_answers(self, key: UUID, other: str) -> None:
        with pytest.raises(NotFound), self.session.begin_nested():
            offers.accept(self.session, actor=self.who[other], offer_id=key, now=self.now)

    # --- managers and jobs ---

    @any_in(State.REQUESTED)
    @rule(data=st.data(), yes=st.booleans())
    def decide(self, data: Any, yes: bool) -> None:
        key, one = self.some(data, State.REQUESTED)
        decision = approvals.approve if yes else approvals.reject
        told = self.attempt(
            lambda: decision(self.session, actor=self.tam, booking_id=key, comment="so", now=self.now)
        )
        if yes and one.use[2] <= self.model.minute:
            assert isinstance(told, Refused)
            return
        one.state = State.CONFIRMED if yes else State.REJECTED
        one.row = one.row if yes else None
        assert told.state is one.state

    @rule(minutes=st.sampled_from([1, 4, 6, 15, 40, 180]))
    def time_passes(self, minutes: int) -> None:
        self.model.minute += minutes

    @rule()
    def the_day_is_kept(self) -> None:
        for key in expiry.overdue(self.session, now=self.now):
            expiry.expire(self.session, actor=SYSTEM, booking_id=key, now=self.now)
        for key in attendance.perhaps_missed(self.session, now=self.now):
            if attendance.is_missed(self.session, actor=SYSTEM, booking_id=key, now=self.now):
                attendance.miss(self.session, actor=SYSTEM, booking_id=key, now=self.now)
        for key in attendance.overrunning(self.session, now=self.now):
            attendance.overrun(self.session, actor=SYSTEM, booking_id=key, now=self.now)
        minute = self.model.minute
        states = dict(self.session.execute(select(Booking.id, Booking.state)).all())
        for key, one in self.model.booked.items():
            start, end = one.use[1], one.use[2]
            if one.state is State.REQUESTED and start <= minute:
                one.state, one.row = State.EXPIRED, None
            elif one.state is State.CONFIRMED and min(start + GRACE, end) <= minute:
                one.state, one.row = State.NO_SHOW, None
            elif one.state is State.CHECKED_IN and states[key] is State.ENDED:
                assert end + 6 <= minute, "sent away before the end"
                one.state = State.ENDED
            elif one.state is State.CHECKED_IN:
                assert minute < end + 120, "never counted as gone"

    @rule()
    def the_line_is_served(self) -> None:
        for key in offers.unanswered(self.session, now=self.now):
            offers.pass_on(self.session, offer_id=key, now=self.now)
        self.forget_answered()
        for freed in turns.work(self.session):
            tried: set[UUID] = set()
            while choice := turns.choose(self.session, freed=freed, skip=tried, now=self.now):
                tried.add(choice.entry_id)
                made = offers.offer(self.session, choice=choice, key="a key of tests", now=self.now)
                if made is not None:
                    self.offered(made)
            turns.done(self.session, freed=freed)

    def forget_answered(self) -> None:
        late = [key for key, (_, _, until) in self.model.offers.items() if until <= self.model.minute]
        states = dict(self.session.execute(select(WaitlistOffer.id, WaitlistOffer.state)).all())
        for key in late:
            assert states[key] is OfferState.SILENT
            entry_id = self.model.offers.pop(key)[0]
            self.model.line[entry_id].state = self.session.get_one(WaitlistEntry, entry_id).state

    def offered(self, made: WaitlistOffer) -> None:
        line = self.model.line[made.entry_id]
        assert line.state is EntryState.WAITING
        row = (
            self.names[made.instrument_id],
            self.minute(made.starts_at),
            self.minute(made.ends_at),
            line.quantity,
        )
        assert row[0] == line.name
        assert line.window[0] <= row[1]
        assert row[2] <= line.window[1]
        assert row[2] - row[1] == line.minutes
        assert self.model.fits(row), "offered what somebody has"
        until = (made.deadline - NOW) / timedelta(minutes=1)  # half of what is left may end within a minute
        assert self.model.minute < until <= row[1]
        line.state = EntryState.OFFERED
        self.model.offers[made.id] = made.entry_id, row, until

    @rule()
    def people_are_told(self) -> None:
        while notifications.dispatch(self.session, remind=(60,), now=self.now):
            pass
        told = self.session.execute(select(Delivery, Event).join(Event, Event.id == Delivery.event_id)).all()
        times: Counter[tuple[int, UUID, str]] = Counter()
        for delivery, event in told:
            times[event.id, delivery.person_id, delivery.channel] += 1
            about = event.data.get("person_id")
            hearers = {UUID(about)} if about else set()
            if event.booking_id is not None:
                hearers.add(self.who[self.model.booked[event.booking_id].owner].person_id)
            if event.kind != "waitlist.offered":
                hearers.add(self.tam.person_id)
            assert delivery.person_id in hearers, event.kind
        assert all(number == 1 for number in times.values())

    # --- what always holds ---

    @invariant()
    def the_ledger_is_the_model(self) -> None:
        if not hasattr(self, "session"):
            return
        found: dict[UUID, Row] = {}
        kept: list[Row] = []
        for row in self.session.scalars(select(Occupation)):
            seen = (
                self.names[row.instrument_id],
                self.minute(row.starts_at),
                self.minute(row.ends_at),
                row.quantity,
            )
            if row.booking_id is not None:
                found[row.booking_id] = seen
            if row.expires_at is None or row.expires_at > self.now:
                kept.append(seen)
        assert found == {key: one.row for key, one in self.model.booked.items() if one.row is not None}
        assert Counter(kept) == Counter(self.model.rows())
        for name, start, end, _ in kept:
            assert most([row for row in kept if row[0] == name], start, end) <= UNITS[name]

    @invariant()
    def no_acknowledged_booking_is_lost(self) -> None:
        if not hasattr(self, "session"):
            return
        states = dict(self.session.execute(select(Booking.id, Booking.state)).all())
        assert states == {key: one.state for key, one in self.model.booked.items()}
        assert all(one.row is None for one in self.model.booked.values() if one.state not in HOLDS)

    @invariant()
    def nobody_is_offered_twice(self) -> None:
        if not hasattr(self, "session"):
            return
        found = self.session.execute(
            select(WaitlistOffer.id, WaitlistOffer.entry_id).where(WaitlistOffer.state == OfferState.OPEN)
        ).all()
        assert dict(found) == {key: entry for key, (entry, _, _) in self.model.offers.items()}
        assert len({entry for _, entry in found}) == len(found)


def test_whatever_happens_agrees_with_the_model(database_url):
    machine = type("Life", (Life,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

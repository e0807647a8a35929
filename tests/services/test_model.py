"""Random commands against a model of the ledger, on both engines: after every step they agree.

The model is a list of what is booked and the slow way to sum it; the real thing goes through the services.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

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
from booking.domain.lifecycle import HOLDS, State, WrongMove
from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import approvals, bookings, closures
from models import Booking, Closure, ClosureKind, Instrument, Occupation, Part
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
QUARTERS = 24
UNITS = {"device": 1, "pool": 3, "line": 1, "station": 1, "padded": 2, "asked": 1}
PADS = {"padded": (1, 1)}
hours = st.integers(1, QUARTERS)
names = st.sampled_from(sorted(UNITS))


def at(quarter: int) -> datetime:
    return NOW + timedelta(minutes=15 * quarter)


class Calendar(RuleBasedStateMachine):
    """What the system under test and its model both do."""

    url: str

    @initialize()
    def begin(self) -> None:
        self.engine = make_engine(self.url, pool_size=2)
        self.session = Session(self.engine.execution_options(write=True), expire_on_commit=False)
        facility = make_facility(self.session)
        self.facility_id = facility.id
        self.rows: dict[str, Instrument] = {}
        for name, units in UNITS.items():
            before, after = PADS.get(name, (0, 0))
            self.rows[name] = make_instrument(
                self.session,
                facility=facility,
                units=units,
                setup_minutes=15 * before,
                cleanup_minutes=15 * after,
                approval_required=name == "asked",
            )
        self.session.add(Part(line_id=self.rows["line"].id, station_id=self.rows["station"].id))
        self.session.flush()
        self.ada = cast.actor_of(self.session, cast.ada(self.session))
        self.root = cast.actor_of(self.session, cast.root(self.session))
        self.names = {row.id: name for name, row in self.rows.items()}
        # key → rows (instrument name, from quarter, to quarter, quantity)
        self.taken: dict[Any, list[tuple[str, int, int, int]]] = {}
        self.booked: dict[Any, State] = {}
        self.closed: list[Any] = []

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.rollback()
            self.session.close()
            self.engine.dispose()

    # --- the model ---

    def wants(self, name: str, start: int, end: int, quantity: int) -> list[tuple[str, int, int, int]]:
        before, after = PADS.get(name, (0, 0))
        wanted = [(name, start - before, end + after, quantity)]
        if name == "line":
            wanted.append(("station", start, end, 1))
        return wanted

    def fits(self, wanted: list[tuple[str, int, int, int]], without: Any = None) -> bool:
        rows = [row for key, rows in self.taken.items() if key != without for row in rows] + wanted
        for name, start, end, _ in wanted:
            for quarter in range(start, end):
                if sum(q for n, a, b, q in rows if n == name and a <= quarter < b) > UNITS[name]:
                    return False
        return True

    def attempt(self, command: Any) -> Any:
        """Run a command all or nothing, as an edge does."""
        try:
            with self.session.begin_nested():
                return command()
        except Refused as refused:
            self.session.expire_all()
            return refused

    def items(self, name: str, start: int, length: int, quantity: int) -> list[Item]:
        return [Item(self.rows[name].id, Span(at(start), at(start + length)), quantity)]

    def some(self, data: Any, *states: State) -> Any:
        keys = [key for key, state in self.booked.items() if state in states]
        return data.draw(st.sampled_from(keys))

    def any_in(*states: State) -> Any:
        return precondition(lambda self: any(state in states for state in self.booked.values()))

    # --- the commands ---

    @rule(name=names, start=hours, length=st.integers(1, 8), quantity=st.integers(1, 3))
    def place(self, name: str, start: int, length: int, quantity: int) -> None:
        wanted = self.wants(name, start, start + length, quantity)
        items = self.items(name, start, length, quantity)
        made = self.attempt(lambda: bookings.place(self.session, actor=self.ada, items=items, now=NOW))
        if quantity <= UNITS[name] and self.fits(wanted):
            assert isinstance(made, Booking), made
            self.taken[made.id] = wanted
            self.booked[made.id] = State.REQUESTED if name == "asked" else State.CONFIRMED
            assert made.state is self.booked[made.id]
        else:
            assert isinstance(made, Refused)
            assert "taken" in [reason.code for reason in made.reasons]

    @any_in(State.CONFIRMED, State.REQUESTED)
    @rule(data=st.data(), name=names, start=hours, length=st.integers(1, 8), quantity=st.integers(1, 3))
    def move(self, data: Any, name: str, start: int, length: int, quantity: int) -> None:
        key = self.some(data, State.CONFIRMED, State.REQUESTED)
        wanted = self.wants(name, start, start + length, quantity)
        items = self.items(name, start, length, quantity)
        # Root manages everything, so that a move never asks for approval anew.
        moved = self.attempt(
            lambda: bookings.change(
                self.session, actor=self.root, booking_id=key, version=None, items=items, now=NOW
            )
        )
        if quantity <= UNITS[name] and self.fits(wanted, without=key):
            assert isinstance(moved, Booking), moved
            self.taken[key] = wanted
            if name != "asked":  # there is nothing left to be approved
                self.booked[key] = State.CONFIRMED
        else:
            assert isinstance(moved, Refused)

    @any_in(State.CONFIRMED, State.REQUESTED)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        key = self.some(data, State.CONFIRMED, State.REQUESTED)
        after = State.WITHDRAWN if self.booked[key] is State.REQUESTED else State.CANCELLED
        gone = self.attempt(lambda: bookings.cancel(self.session, actor=self.ada, booking_id=key, now=NOW))
        assert gone.state is after
        self.booked[key] = after
        del self.taken[key]

    @any_in(State.REQUESTED)
    @rule(data=st.data(), yes=st.booleans())
    def decide(self, data: Any, yes: bool) -> None:
        key = self.some(data, State.REQUESTED)
        decision = approvals.approve if yes else approvals.reject
        self.attempt(lambda: decision(self.session, actor=self.root, booking_id=key, now=NOW))
        self.booked[key] = State.CONFIRMED if yes else State.REJECTED
        if not yes:
            del self.taken[key]

    @any_in(State.WITHDRAWN, State.CANCELLED, State.REJECTED)
    @rule(data=st.data())
    def nothing_revives(self, data: Any) -> None:
        key = self.some(data, State.WITHDRAWN, State.CANCELLED, State.REJECTED)
        with pytest.raises(WrongMove):
            self.attempt(lambda: bookings.cancel(self.session, actor=self.ada, booking_id=key, now=NOW))

    @rule(name=names, start=hours, length=st.integers(1, 6), imposed=st.booleans())
    def close(self, name: str, start: int, length: int, imposed: bool) -> None:
        wanted = [(name, start, start + length, UNITS[name])]
        made = self.attempt(
            lambda: closures.make(
                self.session,
                actor=self.root,
                facility_id=self.facility_id,
                instrument_id=self.rows[name].id,
                span=Span(at(start), at(start + length)),
                kind=ClosureKind.MAINTENANCE,
                reason="",
                imposed=imposed,
                now=NOW,
            )
        )
        if imposed or self.fits(wanted):
            assert isinstance(made, tuple), made
            self.taken[made[0].id] = wanted
            self.closed.append(made[0].id)
        else:
            assert isinstance(made, Refused)

    @precondition(lambda self: self.closed)
    @rule(data=st.data())
    def lift(self, data: Any) -> None:
        key = data.draw(st.sampled_from(self.closed))
        self.closed.remove(key)
        closures.lift(self.session, actor=self.root, closure_id=key, now=NOW)
        del self.taken[key]

    # --- what always holds ---

    @invariant()
    def the_ledger_is_the_model(self) -> None:
        if not hasattr(self, "session"):
            return
        rows = self.session.execute(
            select(
                Occupation.instrument_id,
                Occupation.starts_at,
                Occupation.ends_at,
                Occupation.quantity,
                Occupation.booking_id,
                Occupation.closure_id,
            )
        )
        found: dict[Any, list[tuple[str, int, int, int]]] = {}
        for place, start, end, quantity, booking_id, closure_id in rows:
            quarters = [int((time - NOW).total_seconds()) // 900 for time in (start, end)]
            found.setdefault(booking_id or closure_id, []).append((self.names[place], *quarters, quantity))
        assert {key: sorted(rows) for key, rows in found.items()} == {
            key: sorted(rows) for key, rows in self.taken.items()
        }
        states = dict(self.session.execute(select(Booking.id, Booking.state)).all())
        assert states == self.booked
        assert all((key in found) == (state in HOLDS) for key, state in states.items())
        assert self.session.scalars(select(Closure.id).where(Closure.lifted_at.is_(None))).all() is not None


def test_random_commands_agree_with_the_model(database_url):
    machine = type("Calendar", (Calendar,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""Two words at one instant, by threads with transactions of their own: one outcome, and the ledger agrees."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import func, select

from booking import db
from booking.domain import one_time
from booking.domain.access import SYSTEM, Actor, NotFound, Role
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import approvals, approvals_due, bookings, decision_links, expiry
from models import ApprovalStep, Booking, Event, Membership, Occupation, OneTimeLink, Rule
from tests import cast
from tests.factories import LONG_AGO, make_facility, make_instrument
from tests.races.world import together

ROUNDS = 6
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
KEY = "a key for tests, and for tests alone"


@dataclass
class World:
    """Tam and Nora manage the facility; Ben asks for time."""

    place: int
    facility: int
    ben: Actor
    tam: Actor
    nora: Actor
    rounds: int = 0
    told: Counter[str] = field(default_factory=Counter)

    def ask(self, **data: object) -> UUID:
        """Ask for time, under one rule that says this."""
        self.rounds += 1
        self.told.clear()
        start = NOW + timedelta(days=20, hours=2 * self.rounds)
        with db.transaction() as session:
            for old in session.scalars(select(Rule)):
                session.delete(old)
            session.flush()
            session.add(
                Rule(
                    facility_id=self.facility,
                    kind=RuleKind.APPROVAL,
                    name="Review",
                    data={"approvers": {"role": "manager"}, **data},
                    valid_from=LONG_AGO.date(),
                    created_at=LONG_AGO,
                )
            )
            session.flush()
            item = Item(self.place, Span(start, start + timedelta(hours=1)))
            return bookings.place(session, actor=self.ben, items=[item], now=NOW).id

    def run(self, *works: Callable[..., object]) -> None:
        """Do all at one instant, each in a transaction of its own, and count what each was told."""
        together(*(partial(self._one, work) for work in works))

    def _one(self, work: Callable[..., object]) -> None:
        try:
            with db.transaction() as session:
                done = work(session)
            said = "nothing" if done is False else "done"
        except (WrongMove, Refused, NotFound) as error:
            said = type(error).__name__
        self.told[said] += 1

    def state(self, booking_id: UUID) -> State:
        """Read the booking's state; the ledger must hold its time if the state does, and no other."""
        with db.reading() as session:
            booking = session.get_one(Booking, booking_id)
            held = session.scalar(select(func.count()).where(Occupation.booking_id == booking_id))
            assert held == (1 if booking.state in {State.CONFIRMED, State.REQUESTED} else 0)
            ends = select(func.count()).where(
                Event.booking_id == booking_id,
                Event.kind.in_([f"booking.{state.value}" for state in State] + ["booking.approved"]),
                Event.kind != "booking.requested",
            )
            assert session.scalar(ends) == (0 if booking.state is State.REQUESTED else 1)
            left = select(func.count()).where(
                ApprovalStep.booking_id == booking_id, ApprovalStep.state.in_(["open", "waiting"])
            )
            assert (session.scalar(left) > 0) is (booking.state is State.REQUESTED)
            return booking.state


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    db.init(database_url)
    with db.transaction() as session:
        row = make_instrument(session, make_facility(session))
        nora = cast.nora(session)
        tam = cast.actor_of(session, cast.tam(session, row.facility))
        session.add(Membership(person_id=nora.id, role=Role.MANAGER, facility_id=row.facility_id))
        made = World(
            row.id,
            row.facility_id,
            cast.actor_of(session, cast.ben(session)),
            tam,
            cast.actor_of(session, nora),
        )
    yield made
    db.dispose()


def approve(booking: UUID, who: Actor) -> Callable[..., object]:
    return partial(approvals.approve, actor=who, booking_id=booking, now=NOW)


def reject(booking: UUID, who: Actor) -> Callable[..., object]:
    return partial(approvals.reject, actor=who, booking_id=booking, comment="no", now=NOW)


def test_an_approval_given_twice_counts_once(world):
    for _ in range(ROUNDS):
        booking = world.ask()
        world.run(*[approve(booking, world.tam)] * 4)
        assert world.told == {"done": 1, "WrongMove": 3}
        assert world.state(booking) is State.CONFIRMED


def test_two_managers_of_whom_one_is_enough(world):
    for _ in range(ROUNDS):
        booking = world.ask()
        world.run(approve(booking, world.tam), approve(booking, world.nora))
        assert world.told == {"done": 1, "WrongMove": 1}
        assert world.state(booking) is State.CONFIRMED


def test_both_say_no_at_once_and_neither_word_is_lost(world):
    for need, told in (("any", {"done": 2}), ("all", {"done": 1, "WrongMove": 1})):
        for _ in range(ROUNDS):
            booking = world.ask(need=need)
            world.run(reject(booking, world.tam), reject(booking, world.nora))
            assert world.told == told
            assert world.state(booking) is State.REJECTED


def test_both_of_two_say_yes_at_once_and_it_is_confirmed(world):
    for _ in range(ROUNDS):
        booking = world.ask(need="all")
        world.run(approve(booking, world.tam), approve(booking, world.nora))
        assert world.told == {"done": 2}
        assert world.state(booking) is State.CONFIRMED


def test_yes_while_the_request_is_withdrawn(world):
    for _ in range(ROUNDS):
        booking = world.ask()
        cancel = partial(bookings.cancel, actor=world.ben, booking_id=booking, now=NOW)
        world.run(approve(booking, world.tam), cancel)
        with db.reading() as session:
            state = session.get_one(Booking, booking).state
            held = session.scalar(select(func.count()).where(Occupation.booking_id == booking))
        # Approved and then cancelled, or withdrawn before the word came: the time is free in both.
        expected = {State.CANCELLED: {"done": 2}, State.WITHDRAWN: {"done": 1, "WrongMove": 1}}
        assert world.told == expected[state]
        assert held == 0


def test_yes_while_the_deadline_passes(world):
    for turn in range(ROUNDS):
        booking = world.ask(deadline_days=1)
        with db.reading() as session:
            step = session.scalars(select(ApprovalStep).where(ApprovalStep.booking_id == booking)).one()
        if turn % 2:
            settle = partial(approvals_due.settle, step_id=step.id, now=step.due_at)
        else:
            with db.reading() as session:
                start = session.get_one(Booking, booking).starts_at
            settle = partial(expiry.expire, actor=SYSTEM, booking_id=booking, now=start)
        world.run(approve(booking, world.tam), settle)
        state = world.state(booking)
        expected = {
            State.CONFIRMED: {"done": 1, "nothing": 1},
            State.EXPIRED: {"done": 1, "WrongMove": 1},
        }
        assert world.told == expected[state]


def test_a_link_that_is_followed_twice_decides_once(world):
    for _ in range(ROUNDS):
        booking = world.ask(need="all")
        with db.transaction() as session:
            decision_links.write(session, key=KEY, now=NOW)
            step = select(ApprovalStep.id).where(ApprovalStep.booking_id == booking)
            link = session.scalars(
                select(OneTimeLink.id).where(
                    OneTimeLink.person_id == world.tam.person_id,
                    OneTimeLink.subject == str(session.scalars(step).one()),
                )
            ).one()
        follow = partial(
            decision_links.decide,
            link_id=link,
            secret=one_time.secret(KEY, link),
            approves=True,
            comment="",
            version=None,
            now=NOW,
        )
        world.run(follow, follow, follow)
        assert world.told == {"done": 1, "NotFound": 2}
        assert world.state(booking) is State.REQUESTED

"""Rounds and repairs for pictures of their pages: one of each, as far along as its page is worth a look."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import SYSTEM, Actor
from booking.domain.lifecycle import State
from booking.domain.resolution.answers import answer
from booking.domain.rounds import RoundAction
from booking.domain.spans import Span
from booking.services import (
    bookings,
    closures,
    facilities,
    proposals,
    replans,
    round_drafts,
    round_wishes,
    rounds,
    solver_runs,
)
from booking.services.rounds import ShareTerms, Terms
from models import Booking, BookingItem, ClosureKind, Instrument, OrganisationKind, Replan, Round
from tests import cast

FACILITY = "DG-SLAB"
ASKED = (
    ("ada", 240, ("01", "02")),
    ("cleo", 480, ("01",)),
    ("ben", 360, ("04", "03")),
    ("cleo", 120, ("05",)),
)
"""Who wishes for how many minutes on which instruments of the facility."""


def make(session: Session, now: datetime) -> dict[str, str]:
    """Make them, and give their addresses by name."""
    tam, ada = (cast.actor_of(session, one(session)) for one in (cast.tam, cast.ada))
    taking, run = _round(session, tam, "Spring", now), _round(session, tam, "Winter", now)
    rounds.act(session, actor=tam, round_id=run.id, action=RoundAction.CLOSE, now=now)
    round_drafts.ask(session, actor=tam, round_id=run.id, seconds=2, now=now)
    _solve(session, now)
    mine, other = _to_displace(session, ada, now)
    chosen, sent = (_replan(session, tam, booking, now) for booking in (other, mine))
    replans.send(session, actor=tam, replan_id=sent.id, chosen=0, key="for pictures", now=now)
    [proposal] = proposals.mine(session, actor=ada, now=now)
    return {
        "taking": f"/rounds/{taking.id}",
        "run": f"/rounds/{run.id}",
        "repairs": f"/replans/{chosen.id}",
        "sent": f"/replans/{sent.id}",
        "proposal": f"/proposals/{proposal.id}",
    }


def _round(session: Session, tam: Actor, name: str, now: datetime) -> Round:
    place = facilities.by_code(session, code=FACILITY)
    first = now.date() + timedelta(days=15)
    promise = ShareTerms(OrganisationKind.ENTERPRISE, floor_minutes=600, subsidy_percent=30)
    terms = Terms(
        name=name,
        note="Samples that do not keep come first.",
        first_day=first,
        last_day=first + timedelta(days=13),
        opens_at=now - timedelta(hours=1),
        closes_at=now + timedelta(days=7),
        cap_minutes=60 * 60,
        shares=[promise],
    )
    row = rounds.make(session, actor=tam, facility_id=place.id, terms=terms, now=now)
    codes = dict(session.execute(select(Instrument.code, Instrument.id)).all())
    for who, minutes, numbers in ASKED:
        round_wishes.submit(
            session,
            actor=cast.actor_of(session, getattr(cast, who)(session)),
            round_id=row.id,
            instrument_ids=[codes[f"{FACILITY}-{number}"] for number in numbers],
            minutes=minutes,
            purpose="Layers of silicon nitride",
            now=now,
        )
    return row


def _to_displace(session: Session, ada: Actor, now: datetime) -> tuple[Booking, Booking]:
    """Give a booking of Ada's and one on another instrument, both still ahead."""
    query = (
        select(BookingItem.booking_id, Booking.person_id, BookingItem.instrument_id)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(
            Instrument.code.startswith(FACILITY),
            Instrument.units == 1,
            Booking.state == State.CONFIRMED,
            BookingItem.starts_at > now + timedelta(days=1),
        )
        .order_by(BookingItem.starts_at)
    )
    found = session.execute(query).all()
    mine = next(row for row in found if row.person_id == ada.person_id)
    other = next(row for row in found if row.instrument_id != mine.instrument_id)
    return tuple(bookings.get(session, actor=SYSTEM, booking_id=row.booking_id) for row in (mine, other))


def _replan(session: Session, tam: Actor, booking: Booking, now: datetime) -> Replan:
    hour = timedelta(hours=1)
    closure, _met = closures.make(
        session,
        actor=tam,
        facility_id=booking.items[0].instrument.facility_id,
        instrument_id=booking.items[0].instrument_id,
        span=Span(booking.starts_at - hour, booking.ends_at + hour),
        kind=ClosureKind.BREAKDOWN,
        reason="Vacuum pump",
        imposed=True,
        now=now,
    )
    row = replans.begin(session, actor=tam, closure_id=closure.id, now=now)
    _solve(session, now)
    return row


def _solve(session: Session, now: datetime) -> None:
    """Answer the run that waits, as the process that solves does."""
    run = solver_runs.take_up(session, now=now)
    assert run is not None
    found = answer(
        run.kind.value,
        solver_runs.document_of(run),
        seconds=2,
        seed=run.seed,
        on_progress=lambda _progress: None,
        stopped=lambda: False,
    )
    solver_runs.end(session, run_id=run.id, result=found, now=now)

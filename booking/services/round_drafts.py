"""Drafts of a round: made by a run, published with reasons for each person, confirmed in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload, undefer

from booking.domain.access import SYSTEM, Actor, NotFound
from booking.domain.occupation import Item, Process
from booking.domain.resolution.check import BrokenRule, judged
from booking.domain.resolution.documents import fingerprint, read_plan, read_pool, write_pool
from booking.domain.resolution.problem import SLOT
from booking.domain.rounds import RoundAction, WishState
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import (
    acting,
    bookings,
    line_processes,
    occupation,
    round_pools,
    round_steps,
    round_wishes,
    rounds,
    solver_runs,
    waitlist,
)
from booking.services.round_steps import Place
from booking.services.routes import Step
from models import Booking, Instrument, Round, RoundWish, RoundWishStep, RunKind, SolverRun

USUAL_SECONDS = 10
"""A run that nobody gave a time gets so many seconds."""

FIRST_SEED = 1
HORIZON = "horizon"
"""The one rule that a round sets aside: its manager has opened those days by the round itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What confirming has made: bookings, and how many wishes were not served."""

    bookings: tuple[Booking, ...]
    unserved: int


def ask(
    session: Session,
    *,
    actor: Actor,
    round_id: UUID,
    seconds: int = USUAL_SECONDS,
    seed: int = FIRST_SEED,
    now: datetime,
) -> SolverRun:
    """Have the wishes of a round allotted by a process of its own; pins count as they are now.

    :raises NotFound: if there is no such round for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if the round is settled, or nobody wishes anything
    :raises Invalid: if the time or the seed is out of range
    """
    row = rounds.lock(session, actor, round_id, None)
    if row.state not in round_wishes.PINNABLE:
        raise Refused([Reason("round_settled", {"state": row.state.value})])
    posed = round_pools.pose(session, row=row, pins=round_wishes.pins(session, round_id=round_id), now=now)
    if not posed.pool.wishes and not posed.names["pins"]:
        raise Refused([Reason("no_wishes")])
    run = solver_runs.ask(
        session,
        kind=RunKind.POOL,
        subject=round_id,
        document=write_pool(posed.pool),
        fingerprint=fingerprint(posed.pool),
        names=posed.names,
        seconds=seconds,
        seed=seed,
        asked_by=actor.person_id,
        now=now,
    )
    rounds.note(session, actor, "round.run_asked", row, now, run_id=str(run.id))
    return run


def ask_first(session: Session, *, round_id: UUID, now: datetime) -> SolverRun | None:
    """Ask for the first run of a round that has just closed; None if nobody wishes anything."""
    try:
        return ask(session, actor=SYSTEM, round_id=round_id, now=now)
    except Refused:
        return None


def runs(session: Session, *, actor: Actor, round_id: UUID) -> list[SolverRun]:
    """Give the runs of a round, the newest first.

    :raises NotFound: if there is no such round for this actor
    :raises Forbidden: if the actor does not manage the facility
    """
    rounds.lock(session, actor, round_id, None)
    return solver_runs.of(session, kind=RunKind.POOL, subject=round_id)


def run_of(session: Session, *, actor: Actor, run_id: UUID) -> SolverRun:
    """Give one run of a round that the actor manages.

    :raises NotFound: if there is no such run
    :raises Forbidden: if the actor does not manage the facility
    """
    run = solver_runs.get(session, run_id)
    if run.kind is not RunKind.POOL:
        raise NotFound("run", run_id)
    rounds.lock(session, actor, run.subject, None)
    return run


def stop(session: Session, *, actor: Actor, run_id: UUID) -> SolverRun:
    """Stop a run with the best that it has.

    :raises NotFound: if there is no such run
    :raises Forbidden: if the actor does not manage the facility
    """
    run = run_of(session, actor=actor, run_id=run_id)
    solver_runs.stop(session, run_id=run.id)
    session.refresh(run)
    return run


def places(run: SolverRun, wishes: Sequence[RoundWish]) -> dict[UUID, Place]:
    """Give where a run puts each of the wishes that it serves, pinned ones included."""
    start = datetime.fromisoformat(run.names["start"])
    known = {wish.id: wish for wish in wishes}
    found = {UUID(key): _read_pin(steps) for key, steps in run.names["pins"].items()}
    for number, steps in read_plan(run.result.get("plan", {})).items():
        found[UUID(run.names["wishes"][number])] = [
            (run.names["lanes"][lane], start + slot * SLOT) for lane, slot in steps
        ]
    return {key: round_steps.placed(known[key], steps) for key, steps in found.items() if key in known}


def _read_pin(steps: Sequence[Any]) -> list[tuple[int, datetime]]:
    """Read where a settled wish goes; runs of old name one step, without a list around it."""
    every = steps if isinstance(steps[0], list) else [steps]
    return [(instrument_id, datetime.fromisoformat(at)) for instrument_id, at in every]


def reasons(session: Session, run: SolverRun) -> dict[UUID, list[dict[str, Any]]]:
    """Give why a run serves each wish as it does: codes with figures."""
    told: Mapping[str, list[dict[str, Any]]] = run.result.get("reasons", {})
    found = {
        UUID(run.names["wishes"][int(number)]): [_named(session, run, one) for one in why]
        for number, why in told.items()
    }
    found |= {UUID(key): [{"code": "left_out"}] for key in run.names["left_out"]}
    return found | {UUID(key): [{"code": "pinned"}] for key in run.names["pins"]}


def _named(session: Session, run: SolverRun, reason: dict[str, Any]) -> dict[str, Any]:
    """Put instruments and times in the place of the numbers of a reason."""
    named = dict(reason)
    if places := named.pop("places", None):
        lane, slot = places[0]
        start = datetime.fromisoformat(run.names["start"]) + slot * SLOT
        named["instrument"] = session.get_one(Instrument, run.names["lanes"][lane]).code
        named["start"], named["zone"] = start.isoformat(), run.names["zone"]
    return named


def publish(
    session: Session, *, actor: Actor, round_id: UUID, run_id: UUID, version: int | None = None, now: datetime
) -> Round:
    """Make what a run found the draft that everybody sees for themselves, with the reasons for each.

    :raises NotFound: if there is no such round or run for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Stale: if the version is not the round's
    :raises Refused: if the run has no plan, its plan breaks a rule, or the round's state does not allow it
    """
    row = rounds.lock(session, actor, round_id, version)
    run = session.get(SolverRun, run_id, options=[undefer(SolverRun.document)])
    if run is None or run.subject != round_id or run.state not in solver_runs.ENDED or not run.result:
        raise Refused([Reason("no_plan")])
    _referee(run)
    rounds.move(row, RoundAction.PUBLISH)
    row.draft_run_id = run.id
    wishes = _loaded(session, round_id)
    put, why = places(run, wishes), reasons(session, run)
    for wish in wishes:
        round_steps.put(wish, put.get(wish.id))
        wish.reasons = why.get(wish.id, [])
        _tell(session, actor, "wish.drafted", row, wish, now)
    session.flush()
    rounds.note(session, actor, "round.published", row, now, run_id=str(run.id))
    return row


def confirm(
    session: Session, *, actor: Actor, round_id: UUID, version: int | None = None, now: datetime
) -> Outcome:
    """Turn the published draft into bookings, all of them or none, under every rule that a booking by hand meets.

    Who is not served and wished to go on waiting joins the waitlist.

    :raises NotFound: if there is no such round for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Stale: if the version is not the round's
    :raises Refused: if no draft is published; or, with one reason for each wish that no longer fits, if the
        calendars or the rules have changed since
    """
    row = rounds.lock(session, actor, round_id, version)
    rounds.move(row, RoundAction.CONFIRM)
    wishes = _loaded(session, round_id)
    put = [(place, wish) for wish in wishes if (place := round_steps.place_of(wish)) is not None]
    occupation.lock(session, {step.instrument_id for place, _ in put for step in place.steps})
    made: list[Booking] = []
    stand: list[Reason] = []
    for place, wish in sorted(put, key=lambda one: (one[0].starts_at, one[1].id)):
        try:
            booking = _place(session, actor, row, wish, place, now)
        except (Refused, Invalid) as refused:
            why = refused.reasons[0].code if isinstance(refused, Refused) else next(iter(refused.errors))
            stand.append(
                Reason("draft_outdated", {"wish": str(wish.id), "person": wish.person.name, "why": why})
            )
        else:
            booking.may_move = wish.may_move
            wish.booking_id, wish.state = booking.id, WishState.SERVED
            made.append(booking)
    if stand:
        raise Refused(stand)
    missed = [wish for wish in wishes if wish.state is WishState.WAITING]
    for wish in missed:
        wish.state = WishState.UNSERVED
        if wish.keep_waiting:
            _wait(session, wish, now)
    row.settled_at = now
    session.flush()
    for wish in wishes:
        _tell(session, actor, f"wish.{wish.state.value}", row, wish, now)
    rounds.note(session, actor, "round.confirmed", row, now, served=len(made), unserved=len(missed))
    return Outcome(tuple(made), len(missed))


def _place(
    session: Session,
    actor: Actor,
    row: Round,
    wish: RoundWish,
    where: Place,
    now: datetime,
) -> Booking:
    items = _items(wish, where)

    def place(override: str) -> Booking:
        return bookings.place(
            session,
            actor=actor,
            items=items,
            purpose=wish.purpose,
            project_id=wish.project_id,
            booked_for=wish.person_id,
            series_id=row.id,
            override=override,
            now=now,
        )

    try:
        return place("")
    except Refused as refused:
        if {reason.code for reason in refused.reasons} != {HORIZON}:
            raise
        return place(row.name)


def _items(wish: RoundWish, where: Place) -> list[Item]:
    """Give the items of the one booking that a wish becomes: of a process each step with its lag."""
    spans = [Span(one.starts_at, one.ends_at) for one in where.steps]
    if not where.following:
        return [Item(where.instrument_id, spans[0])]
    lags = [None, *(stage.lag for stage in round_steps.stages(wish)[1:])]
    return [
        Item(one.instrument_id, span, process=Process(lag=lag))
        for one, span, lag in zip(where.steps, spans, lags, strict=True)
    ]


def _wait(session: Session, wish: RoundWish, now: datetime) -> None:
    """Let somebody wait in line with the wish that the round did not serve; the line's own limits hold."""
    person = acting.actor_of(session, wish.person_id)
    if person is None:
        return
    try:
        if wish.following:
            line_processes.join(
                session,
                actor=person,
                steps=_steps(session, wish),
                window=Span(wish.window_starts_at, wish.window_ends_at),
                project_id=wish.project_id,
                purpose=wish.purpose,
                now=now,
            )
            return
        waitlist.join(
            session,
            actor=person,
            instrument_ids=[choice.instrument_id for choice in wish.choices],
            window=Span(wish.window_starts_at, wish.window_ends_at),
            minutes=wish.minutes,
            project_id=wish.project_id,
            purpose=wish.purpose,
            now=now,
        )
    except (Refused, Invalid):
        return


def _steps(session: Session, wish: RoundWish) -> list[Step]:
    """Give the steps of a process as somebody would ask for them who waits in line."""
    places = round_steps.wanted(wish)
    codes = {row.id: row.code for row in session.scalars(select(Instrument).where(Instrument.id.in_(places)))}
    return [
        Step(
            minutes=stage.minutes,
            any_of=tuple(codes[place] for place in stage.instrument_ids),
            lag=stage.lag,
        )
        for stage in round_steps.stages(wish)
    ]


def _referee(run: SolverRun) -> None:
    try:
        judged(read_pool(solver_runs.document_of(run)), read_plan(run.result.get("plan", {})))
    except BrokenRule as broken:
        raise Refused([Reason("no_plan", {"why": broken.rule})]) from broken


def _tell(session: Session, actor: Actor, kind: str, row: Round, wish: RoundWish, now: datetime) -> None:
    place = round_steps.place_of(wish)
    steps = [
        [_code(session, one.instrument_id), one.starts_at.isoformat(), one.ends_at.isoformat()]
        for one in (place.steps if place else ())
    ]
    rounds.note(
        session,
        actor,
        kind,
        row,
        now,
        wish_id=str(wish.id),
        person_id=str(wish.person_id),
        instrument=steps[0][0] if steps else "",
        start=steps[0][1] if steps else None,
        end=steps[0][2] if steps else None,
        following=steps[1:],
        minutes=round_steps.total(wish),
        reasons=wish.reasons,
    )


def _code(session: Session, instrument_id: int | None) -> str:
    return "" if instrument_id is None else session.get_one(Instrument, instrument_id).code


def _loaded(session: Session, round_id: UUID) -> list[RoundWish]:
    query = (
        select(RoundWish)
        .where(RoundWish.round_id == round_id, RoundWish.state == WishState.WAITING)
        .options(
            joinedload(RoundWish.person),
            selectinload(RoundWish.choices),
            selectinload(RoundWish.following).selectinload(RoundWishStep.choices),
        )
        .order_by(RoundWish.submitted_at, RoundWish.id)
    )
    return list(session.scalars(query))

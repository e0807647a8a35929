"""Replans: repairs of what an outage displaces, chosen by the manager, proposed to each owner, answered by them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.occupation import Item
from booking.domain.replanning import Cause, ProposalState, ReplanState
from booking.domain.resolution.documents import fingerprint, write_plan, write_pool
from booking.domain.resolution.problem import SLOT
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import (
    bookings,
    bundles,
    occupation,
    proposals,
    repair_pools,
    solver_runs,
)
from booking.services.bookings import Stale
from booking.services.proposals import Change
from booking.services.repair_pools import Struck
from models import (
    Booking,
    BookingItem,
    Closure,
    Facility,
    Instrument,
    Proposal,
    Replan,
    RunKind,
    SolverRun,
)

SECONDS = 10
SEED = 1


@dataclass(frozen=True, slots=True)
class Repair:
    """One of the repairs that a run found: what it costs in all and of whom it asks what."""

    number: int
    kind: str
    cost: int
    bound: int | None
    changes: tuple[Change, ...]

    @property
    def moved(self) -> int:
        """How many of the displaced get another place."""
        return sum(one.hit and one.has_place for one in self.changes)

    @property
    def without_place(self) -> int:
        """How many of the displaced get none."""
        return sum(one.hit and not one.has_place for one in self.changes)

    @property
    def neighbours(self) -> int:
        """How many others make room."""
        return sum(not one.hit for one in self.changes)


def begin(session: Session, *, actor: Actor, closure_id: UUID, now: datetime) -> Replan:
    """Have repairs looked for of what a closure displaces; asked again, they are looked for anew.

    :raises NotFound: if there is no such closure
    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if people are asked already, or the closure displaces nothing that can be put elsewhere
    """
    closure = session.get(Closure, closure_id)
    if closure is None:
        raise NotFound("closure", closure_id)
    require(actor, "closure.make", Subject(facility_id=closure.facility_id))
    _check_closed(closure)
    known = session.scalar(select(Replan.id).where(Replan.closure_id == closure_id))
    if known is not None:
        return again(session, actor=actor, replan_id=known, now=now)
    row = _new(actor, closure.facility_id, Cause.CLOSURE, now)
    row.closure_id, row.closure = closure_id, closure
    session.add(row)
    session.flush()
    _ask(session, actor, row, now)
    return row


def begin_for(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    cause: Cause,
    met: Sequence[Booking],
    down: Mapping[int, Sequence[Span]],
    look: bool = True,
    now: datetime,
) -> Replan | None:
    """Have repairs looked for of what something else than a closure displaces; None if nothing of it can be moved.

    The bookings cannot stay; in `down` the instruments are not to be had. Nobody hears of it before somebody chooses.
    Without `look` it waits for the manager to have them looked for, as where many facilities are met at once.

    :raises Forbidden: if the actor does not manage the facility
    """
    require(actor, "closure.make", Subject(facility_id=facility_id))
    row = _new(actor, facility_id, cause, now)
    row.struck = {
        "bookings": {str(booking.id): booking.sequence for booking in met},
        "down": [[place, *(at.isoformat() for at in span)] for place, some in down.items() for span in some],
    }
    row.closure = None
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
            if look:
                _ask(session, actor, row, now)
    except Refused:
        return None
    return row


def begin_together(
    session: Session, *, actor: Actor, closures: Sequence[Closure], now: datetime
) -> Replan | None:
    """Have repairs looked for of what several closures displace together; None if nothing of it can be moved.

    :raises Forbidden: if the actor does not manage the facility
    """
    standing = [one for one in closures if one.lifted_at is None and one.ends_at > now]
    down = {
        place: [Span(max(one.starts_at, now), one.ends_at)]
        for one in standing
        for place in _places(session, one)
    }
    met = {
        booking.id: booking
        for place, spans in down.items()
        for booking in bookings.displaced(session, instrument_ids=[place], span=spans[0])
        if booking.state in repair_pools.MOVABLE
    }
    if not met:
        return None
    row = begin_for(
        session,
        actor=actor,
        facility_id=standing[0].facility_id,
        cause=Cause.CLOSURES,
        met=list(met.values()),
        down=down,
        now=now,
    )
    if row is not None:
        row.struck = {**(row.struck or {}), "closures": [str(one.id) for one in standing]}
        session.flush()
    return row


def again(session: Session, *, actor: Actor, replan_id: UUID, now: datetime) -> Replan:
    """Look for repairs anew, of what is displaced by now.

    :raises NotFound: if there is no such replan
    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if people are asked already, or nothing is displaced any more that can be put elsewhere
    """
    row = lock(session, actor, replan_id, None)
    if row.state is not ReplanState.OPEN:
        raise Refused([Reason("replan_sent")])
    _ask(session, actor, row, now)
    return row


def _new(actor: Actor, facility_id: int, cause: Cause, now: datetime) -> Replan:
    return Replan(
        id=uuid4(),
        facility_id=facility_id,
        cause=cause,
        state=ReplanState.OPEN,
        created_by=actor.person_id,
        created_at=now,
        version=1,
        proposals=[],
    )


def _ask(session: Session, actor: Actor, row: Replan, now: datetime) -> None:
    facility = session.get_one(Facility, row.facility_id)
    struck = _struck(session, row, now)
    asked = _asked(session, [one.id for one in struck.met])
    struck = replace(struck, met=[one for one in struck.met if one.id not in asked])
    posed = repair_pools.pose(session, facility=facility, struck=struck, now=now)
    if not posed.hit:
        raise Refused([Reason("nothing_displaced", {"by_hand": len(posed.by_hand)})])
    run = solver_runs.ask(
        session,
        kind=RunKind.REPAIR,
        subject=row.id,
        document={
            "pool": write_pool(posed.pool),
            "plan": write_plan(posed.plan),
            "outage": {
                "kind": posed.outage.kind,
                "down": posed.outage.down,
                "now": posed.outage.now,
                "hit": posed.outage.hit,
            },
        },
        fingerprint=fingerprint(posed.pool),
        names=posed.names,
        seconds=SECONDS,
        seed=SEED,
        asked_by=actor.person_id,
        now=now,
    )
    row.run_id = run.id
    session.flush()


def _struck(session: Session, row: Replan, now: datetime) -> Struck:
    """Give what is struck: a closure says so itself; of any other cause what was kept, as far as it is unchanged."""
    if row.closure is not None:
        _check_closed(row.closure)
        places = _places(session, row.closure)
        span = Span(max(row.closure.starts_at, now), row.closure.ends_at)
        met = bookings.displaced(session, instrument_ids=places, span=span) if span.start < span.end else []
        return Struck(row.cause.value, dict.fromkeys(places, (span,)), met)
    kept = row.struck or {"bookings": {}, "down": []}
    found = bookings.by_ids(session, ids=[UUID(one) for one in kept["bookings"]])
    down: dict[int, tuple[Span, ...]] = {}
    for place, start, end in kept["down"]:
        span = Span(datetime.fromisoformat(start), datetime.fromisoformat(end))
        down[place] = (*down.get(place, ()), span)
    met = [one for one in found if one.sequence == kept["bookings"][str(one.id)]]
    return Struck(row.cause.value, down, [one for one in met if one.state in repair_pools.MOVABLE])


def _asked(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Give the bookings whose owners are being asked already, because of something else."""
    query = select(Proposal.booking_id).where(
        Proposal.booking_id.in_(ids), Proposal.state == ProposalState.OPEN
    )
    return set(session.scalars(query))


def _check_closed(closure: Closure | None) -> None:
    if closure is not None and closure.lifted_at is not None:
        raise Refused([Reason("nothing_displaced", {"by_hand": 0})])


def _places(session: Session, closure: Closure) -> Sequence[int]:
    if closure.instrument_id is not None:
        return [closure.instrument_id]
    query = select(Instrument.id).where(Instrument.facility_id == closure.facility_id)
    return session.scalars(query.order_by(Instrument.id)).all()


def repairs(run: SolverRun) -> list[Repair]:
    """Give the repairs of a run that has ended, the least disturbing first; none while it is under way."""
    start = datetime.fromisoformat(run.names["start"]) if run.names else run.asked_at
    wholes = [_whole(one) for one in run.names.get("wholes", [])]
    found = []
    for number, one in enumerate(run.result.get("repairs", [])):
        changes = (*(_change(run, start, change) for change in one["changes"]), *wholes)
        cost, bound = sum(whole.cost for whole in wholes), one.get("bound")
        found.append(
            Repair(number, one["kind"], one["cost"] + cost, None if bound is None else bound + cost, changes)
        )
    return found


def _change(run: SolverRun, start: datetime, change: Mapping[str, Any]) -> Change:
    booking_id, after = run.names["bookings"][change["wish"]], change["after"]
    lane, slot = after[0] if after else (None, None)
    return Change(
        booking_id=UUID(booking_id),
        hit=change["hit"],
        instrument_id=None if lane is None else run.names["lanes"][lane],
        starts_at=None if slot is None else start + slot * SLOT,
        cost=change["cost"],
        slots=change["slots"],
        instead=tuple(bundles.read(run.names.get("parts", {}).get(booking_id, ()))) if change["hit"] else (),
    )


def _whole(one: Mapping[str, Any]) -> Change:
    parts = tuple(bundles.read(one["parts"]))
    return Change(
        booking_id=UUID(one["booking"]),
        hit=True,
        instrument_id=parts[0].instrument_id if parts else None,
        starts_at=parts[0].span.start if parts else None,
        cost=one["cost"],
        slots=one["slots"],
        parts=parts,
    )


# --- asking people --------------------------------------------------------------------------------


def send(
    session: Session,
    *,
    actor: Actor,
    replan_id: UUID,
    chosen: int,
    version: int | None = None,
    key: str,
    now: datetime,
) -> Replan:
    """Ask the owners of all that one repair moves; each place is held for them until their deadline.

    Neighbours who agreed to make room are moved at once, and told. Nothing is written if any place is gone meanwhile.

    :raises NotFound: if there is no such replan for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Stale: if the version is not the replan's
    :raises Refused: if people are asked already, there is no such repair, or the calendars have changed since
    """
    row = lock(session, actor, replan_id, version)
    if row.state is not ReplanState.OPEN:
        raise Refused([Reason("replan_sent")])
    _check_closed(row.closure)
    run = session.get(SolverRun, row.run_id) if row.run_id else None
    known = repairs(run) if run is not None else []
    if run is None or not 0 <= chosen < len(known):
        raise Refused([Reason("no_plan")])
    changes = known[chosen].changes
    ids = [one.booking_id for one in changes]
    places = {one.instrument_id for one in changes if one.instrument_id is not None}
    places |= {item.instrument_id for one in changes for item in (*one.parts, *one.instead)}
    places |= set(session.scalars(select(BookingItem.instrument_id).where(BookingItem.booking_id.in_(ids))))
    locked = occupation.lock(session, places)
    affected = _bookings(session, ids)
    _check_unchanged(run, affected, _asked(session, ids))
    occupation.drop_expired(session, locked.instruments, now=now)
    before = {booking_id: bundles.items_of(booking) for booking_id, booking in affected.items()}
    _move_neighbours(session, [one for one in changes if not one.hit], affected, row, now)
    # Who is divided takes only what those leave who find a place as a whole.
    for number, one in enumerate(sorted(changes, key=lambda one: one.instrument_id is None)):
        try:
            proposals.make(
                session,
                row=row,
                number=number,
                change=one,
                booking=affected[one.booking_id],
                before=before[one.booking_id],
                locked=locked,
                key=key,
                now=now,
            )
        except Refused:
            raise Refused([Reason("repair_outdated", {"bookings": 1})]) from None
    row.state, row.chosen, row.sent_at = ReplanState.SENT, chosen, now
    row.version += 1
    session.flush()
    proposals.note(session, actor, "replan.sent", row, now, asked=sum(one.hit for one in changes))
    return row


def _check_unchanged(run: SolverRun, affected: Mapping[UUID, Booking], asked: Collection[UUID]) -> None:
    before = dict(zip(run.names["bookings"], run.names["sequences"], strict=True))
    before |= {one["booking"]: one["sequence"] for one in run.names.get("wholes", [])}
    changed = [
        booking
        for booking in affected.values()
        if booking.state not in repair_pools.MOVABLE
        or before.get(str(booking.id)) != booking.sequence
        or booking.id in asked
    ]
    if changed:
        raise Refused([Reason("repair_outdated", {"bookings": len(changed)})])


def _move_neighbours(
    session: Session, moves: Sequence[Change], affected: Mapping[UUID, Booking], row: Replan, now: datetime
) -> None:
    """Move those who agreed to it, in an order in which each finds its place free."""
    left = list(moves)
    while left:
        stuck = []
        for one in left:
            items = proposals.items_of(affected[one.booking_id], one)
            if not _moved(session, affected[one.booking_id], items, row, now):
                stuck.append(one)
        if len(stuck) == len(left):
            raise Refused([Reason("repair_outdated", {"bookings": len(stuck)})])
        left = stuck


def _moved(session: Session, booking: Booking, items: Sequence[Item], row: Replan, now: datetime) -> bool:
    try:
        proposals.change_to(session, booking, items, row, now)
    except Refused:
        return False
    return True


def withdraw(
    session: Session,
    *,
    actor: Actor,
    replan_id: UUID,
    places: Collection[int] = (),
    tell: bool = True,
    now: datetime,
) -> Replan:
    """Take back what nobody has answered yet, as when the instrument is mended sooner, and tell those who were asked.

    Instruments that the caller changes afterwards are locked with those that were proposed, all in one order. A caller
    who tells the same people more says so by `tell`.

    :raises NotFound: if there is no such replan for this actor
    :raises Forbidden: if the actor does not manage the facility
    """
    row = lock(session, actor, replan_id, None)
    if row.state is ReplanState.OVER:
        return row
    unanswered = [one for one in row.proposals if one.state is ProposalState.OPEN]
    proposed = {item.instrument_id for one in unanswered for item in proposals.proposed_items(one)}
    occupation.lock(session, proposed | set(places))
    for one in unanswered:
        proposals.close(session, one, ProposalState.WITHDRAWN, now)
        if tell:
            whom = {"person_id": str(one.booking.person_id), "proposal_id": str(one.id)}
            proposals.note(session, actor, "proposal.withdrawn", row, now, booking=one.booking, **whom)
    row.state, row.over_at = ReplanState.OVER, now
    row.version += 1
    solver_runs.stop_all(session, kind=RunKind.REPAIR, subject=row.id)
    session.flush()
    proposals.note(session, actor, "replan.withdrawn", row, now)
    return row


def withdraw_of(
    session: Session, *, actor: Actor, closure: Closure, places: Collection[int], now: datetime
) -> list[Closure]:
    """Take back what is still open of the repairs of a closure, which is being lifted; there may be none.

    Of repairs of several closures together all is taken back: given are those that stand on, to be looked at anew.
    The places of the closure are not locked yet: whoever answers locks the replan first, and instruments after it.

    :raises Forbidden: if the actor does not manage the facility
    """
    known = session.scalar(select(Replan.id).where(Replan.closure_id == closure.id))
    if known is not None:
        withdraw(session, actor=actor, replan_id=known, places=places, tell=False, now=now)
    together = select(Replan.id, Replan.struck).where(
        Replan.facility_id == closure.facility_id,
        Replan.cause == Cause.CLOSURES,
        Replan.state != ReplanState.OVER,
    )
    others: set[UUID] = set()
    for replan_id, struck in session.execute(together.order_by(Replan.id)).all():
        named = {UUID(one) for one in (struck or {}).get("closures", [])}
        if closure.id in named:
            left = named - {closure.id}
            withdraw(session, actor=actor, replan_id=replan_id, places=places, tell=bool(left), now=now)
            others |= left
    standing = select(Closure).where(Closure.id.in_(others), Closure.lifted_at.is_(None))
    return list(session.scalars(standing.order_by(Closure.instrument_id))) if others else []


# --- reading --------------------------------------------------------------------------------------


def get(session: Session, *, actor: Actor, replan_id: UUID) -> Replan:
    """Give a replan with its proposals.

    :raises NotFound: if there is none, or the actor is not of its facility's staff
    """
    row = session.scalars(proposals.loaded().where(Replan.id == replan_id)).one_or_none()
    if row is None:
        raise NotFound("replan", replan_id)
    require(actor, "facility.desk", Subject(facility_id=row.facility_id))
    return row


def listing(session: Session, *, actor: Actor, facility_id: int) -> list[Replan]:
    """Give the replans of a facility, the newest first.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, "facility.desk", Subject(facility_id=facility_id))
    query = proposals.loaded().where(Replan.facility_id == facility_id)
    return list(session.scalars(query.order_by(Replan.created_at.desc()).limit(50)))


def under_way(session: Session, *, actor: Actor, facility_id: int) -> list[tuple[Replan, int, int]]:
    """Give what is not settled yet of a facility's replans, each with how many have answered, of how many asked.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, "facility.desk", Subject(facility_id=facility_id))
    asked = select(func.count()).where(Proposal.replan_id == Replan.id, Proposal.by_agreement.is_(False))
    answered = asked.where(Proposal.state != ProposalState.OPEN)
    query = (
        select(Replan, answered.scalar_subquery(), asked.scalar_subquery())
        .outerjoin(Closure, Closure.id == Replan.closure_id)
        .options(contains_eager(Replan.closure))
        .where(Replan.facility_id == facility_id, Replan.state != ReplanState.OVER)
        .where(or_(Replan.state == ReplanState.SENT, Closure.lifted_at.is_(None)))
        .order_by(Closure.starts_at, Replan.created_at, Replan.id)
    )
    return [(row, done, of) for row, done, of in session.execute(query)]


def place_of(row: Replan) -> int | None:
    """Give the one instrument that is struck, None where it is the facility."""
    if row.closure_id is not None and row.closure is not None:
        return row.closure.instrument_id
    places = {int(place) for place, _start, _end in (row.struck or {}).get("down", [])}
    single = {Cause.WITHDRAWN, Cause.ELSEWHERE, Cause.PERMIT}
    return places.pop() if row.cause in single and len(places) == 1 else None


def of_closures(session: Session, *, closure_ids: Collection[UUID]) -> dict[UUID, Replan]:
    """Give the replans of closures, by closure."""
    query = select(Replan).where(Replan.closure_id.in_(closure_ids))
    return {row.closure_id: row for row in session.scalars(query) if row.closure_id is not None}


def bookings_of(session: Session, changes: Iterable[Change]) -> dict[UUID, Booking]:
    """Give the bookings that repairs are about, with their owners, items and instruments."""
    return _bookings(session, {one.booking_id for one in changes})


def by_hand(session: Session, run: SolverRun) -> list[Booking]:
    """Give the displaced bookings of which a run knows that only a person can move them."""
    ids = [UUID(one) for one in run.names.get("by_hand", [])]
    return bookings.by_ids(session, ids=ids) if ids else []


def run_of(session: Session, *, actor: Actor, replan_id: UUID) -> SolverRun | None:
    """Give the newest run of a replan."""
    row = get(session, actor=actor, replan_id=replan_id)
    return session.get(SolverRun, row.run_id) if row.run_id else None


def lock(session: Session, actor: Actor, replan_id: UUID, version: int | None) -> Replan:
    """Read a replan that the actor may settle, so that nobody else changes it meanwhile.

    :raises NotFound: if there is no such replan
    :raises Forbidden: if the actor does not manage the facility
    :raises Stale: if the version is not the replan's
    """
    row = proposals.locked(session, replan_id=replan_id)
    if row is None:
        raise NotFound("replan", replan_id)
    require(actor, "closure.make", Subject(facility_id=row.facility_id))
    if version not in {None, row.version}:
        raise Stale
    return row


def _bookings(session: Session, ids: Collection[UUID]) -> dict[UUID, Booking]:
    fresh = select(Booking).where(Booking.id.in_(ids)).options(selectinload(Booking.items))
    session.scalars(fresh.execution_options(populate_existing=True)).all()
    query = (
        select(Booking)
        .where(Booking.id.in_(ids))
        .options(
            joinedload(Booking.person),
            selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility),
        )
    )
    return {booking.id: booking for booking in session.scalars(query)}

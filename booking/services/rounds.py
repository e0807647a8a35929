"""Rounds: opened, amended, closed, cancelled; what each promises."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.access import SYSTEM, Actor, NotFound, Subject, may, require
from booking.domain.hours import instant, zone
from booking.domain.rounds import MOVES, USUAL, RoundAction, RoundState, Weights, WishState, prefix
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import events, organisations, solver_runs
from booking.services.bookings import Stale
from models import Category, Facility, OrganisationKind, Round, RoundShare, RoundWish, RunKind

LONGEST = timedelta(days=92)
"""A round is of so many days at most."""

MOST_SHARES = 20
LONGEST_NAME, LONGEST_NOTE = 200, 2000
EDITABLE = frozenset({RoundState.OPEN, RoundState.CLOSED})


@dataclass(frozen=True, slots=True)
class ShareTerms:
    """What a round promises to one kind of organisation; minutes, and per cent of the price."""

    organisation_kind: OrganisationKind
    category_code: str | None = None
    region_code: str | None = None
    floor_minutes: int | None = None
    annual_minutes: int | None = None
    rounds_left: int = 1
    subsidy_percent: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """All that a manager sets of a round; the days are local to the facility, and both belong to it."""

    name: str
    first_day: date
    last_day: date
    opens_at: datetime
    closes_at: datetime
    note: str = ""
    cap_minutes: int | None = None
    budget: Decimal | None = None
    reserve_percent: int = 3
    weights: Weights = USUAL
    shares: Sequence[ShareTerms] = ()


def make(session: Session, *, actor: Actor, facility_id: int, terms: Terms, now: datetime) -> Round:
    """Open a round of a facility; wishes are taken from the time that its terms say.

    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: if the terms make no sense
    """
    require(actor, "round.keep", Subject(facility_id=facility_id))
    facility = session.get_one(Facility, facility_id)
    _check(session, facility, terms, now)
    row = Round(
        id=uuid4(),
        facility_id=facility_id,
        state=RoundState.OPEN,
        created_by=actor.person_id,
        created_at=now,
        version=1,
        facility=facility,
        shares=[],
    )
    _apply(row, terms)
    session.add(row)
    session.flush()
    note(session, actor, "round.made", row, now)
    return row


def amend(
    session: Session, *, actor: Actor, round_id: UUID, terms: Terms, version: int | None, now: datetime
) -> Round:
    """Change the terms of a round for which no draft is published.

    :raises NotFound: if there is no such round for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Stale: if the version is not the round's
    :raises Refused: if its draft is published, or it is over
    :raises Invalid: if the terms make no sense
    """
    row = lock(session, actor, round_id, version)
    if row.state not in EDITABLE:
        raise Refused([Reason("round_settled", {"state": row.state.value})])
    _check(session, row.facility, terms, now)
    _apply(row, terms)
    row.version += 1
    session.flush()
    note(session, actor, "round.amended", row, now)
    return row


def act(
    session: Session,
    *,
    actor: Actor,
    round_id: UUID,
    action: RoundAction,
    version: int | None = None,
    now: datetime,
) -> Round:
    """Close, reopen or cancel a round, or take its draft back; runs that are under way are stopped.

    :raises NotFound: if there is no such round for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Stale: if the version is not the round's
    :raises Refused: if its state does not allow it
    """
    row = lock(session, actor, round_id, version)
    move(row, action)
    if action is RoundAction.REOPEN and row.closes_at <= now:
        raise Refused([Reason("round_over", {"closes_at": row.closes_at})])
    if action is RoundAction.CLOSE:
        row.closes_at = max(min(row.closes_at, now), row.opens_at + timedelta(seconds=1))
    if action is RoundAction.CANCEL:
        row.settled_at = now
        _tell_all(session, actor, row, now)
    solver_runs.stop_all(session, kind=RunKind.POOL, subject=row.id)
    session.flush()
    note(session, actor, f"round.{row.state.value}", row, now)
    return row


def move(row: Round, action: RoundAction) -> None:
    """Take a round into the state that follows.

    :raises Refused: if the action is not possible in its state
    """
    after = MOVES.get((row.state, action))
    if after is None:
        raise Refused([Reason("round_settled", {"state": row.state.value})])
    row.state = after
    row.version += 1


def due(session: Session, *, now: datetime) -> list[UUID]:
    """Give the rounds whose time for wishes is over and that are not closed yet."""
    over = select(Round.id).where(Round.state == RoundState.OPEN, Round.closes_at <= now)
    return list(session.scalars(over.order_by(Round.closes_at)))


def close_in_time(session: Session, *, round_id: UUID, now: datetime) -> Round | None:
    """Close a round whose time for wishes is over; None if it is closed already, or its time was prolonged."""
    row = lock(session, SYSTEM, round_id, None)
    if row.state is not RoundState.OPEN or row.closes_at > now:
        return None
    move(row, RoundAction.CLOSE)
    session.flush()
    note(session, SYSTEM, "round.closed", row, now)
    return row


# --- reading --------------------------------------------------------------------------------------


def get(session: Session, *, actor: Actor, round_id: UUID) -> Round:
    """Give a round with its promises; anybody who is signed in may know what a facility allots.

    :raises NotFound: if there is none
    """
    require(actor, "round.see")
    row = session.scalars(_loaded().where(Round.id == round_id)).one_or_none()
    if row is None:
        raise NotFound("round", round_id)
    return row


def listing(
    session: Session, *, actor: Actor, facility_id: int | None = None, limit: int = 100
) -> list[Round]:
    """Give the rounds of a facility or of all, those that take wishes longest first, then the newest."""
    require(actor, "round.see")
    query = _loaded()
    if facility_id is not None:
        query = query.where(Round.facility_id == facility_id)
    rows = session.scalars(query.order_by(Round.first_day.desc(), Round.id).limit(limit)).all()
    ranks = list(RoundState)
    return sorted(rows, key=lambda row: (ranks.index(row.state), row.closes_at))


def taking(
    session: Session, *, actor: Actor, facility_id: int | None = None, limit: int = 3, now: datetime
) -> list[Round]:
    """Give the rounds that take wishes now, with their facilities, those that close first; none to a visitor."""
    if not may(actor, "round.see"):
        return []
    query = (
        select(Round)
        .options(joinedload(Round.facility))
        .where(Round.state == RoundState.OPEN, Round.opens_at <= now, Round.closes_at > now)
    )
    if facility_id is not None:
        query = query.where(Round.facility_id == facility_id)
    return list(session.scalars(query.order_by(Round.closes_at, Round.id).limit(limit)))


def going_on(session: Session, *, actor: Actor, facility_id: int) -> list[tuple[Round, int]]:
    """Give the rounds of a facility that are not settled yet, each with how many wishes it has."""
    require(actor, "round.see")
    wishes = (
        select(func.count())
        .where(RoundWish.round_id == Round.id, RoundWish.state == WishState.WAITING)
        .scalar_subquery()
    )
    query = select(Round, wishes).where(
        Round.facility_id == facility_id,
        Round.state.in_((RoundState.OPEN, RoundState.CLOSED, RoundState.PUBLISHED)),
    )
    return [(row, count) for row, count in session.execute(query.order_by(Round.first_day, Round.id))]


def keeps(actor: Actor, row: Round) -> bool:
    """Tell whether the actor may manage the round."""
    return may(actor, "round.keep", Subject(facility_id=row.facility_id))


def span_of(row: Round) -> Span:
    """Give the time that a round allots."""
    tz = zone(row.facility.zone)
    return Span(instant(row.first_day, 0, tz), instant(row.last_day + timedelta(days=1), 0, tz))


def lock(session: Session, actor: Actor, round_id: UUID, version: int | None) -> Round:
    """Read a round that the actor may manage, so that nobody else changes it meanwhile.

    :raises NotFound: if there is no such round
    :raises Forbidden: if the actor does not manage the facility
    :raises Stale: if the version is not the round's
    """
    fresh = select(Round).where(Round.id == round_id).with_for_update(of=Round)
    session.scalars(fresh.execution_options(populate_existing=True)).one_or_none()
    row = session.scalars(_loaded().where(Round.id == round_id)).one_or_none()
    if row is None:
        raise NotFound("round", round_id)
    require(actor, "round.keep", Subject(facility_id=row.facility_id))
    if version not in {None, row.version}:
        raise Stale
    return row


def note(session: Session, actor: Actor, kind: str, row: Round, now: datetime, **data: Any) -> None:
    """Record a deed about a round."""
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=row.facility_id,
        subject=str(row.id),
        round_name=row.name,
        **data,
    )


def _tell_all(session: Session, actor: Actor, row: Round, now: datetime) -> None:
    """Let everybody who wishes something of a round hear that it does not take place."""
    waiting = select(RoundWish.id, RoundWish.person_id).where(
        RoundWish.round_id == row.id, RoundWish.state == WishState.WAITING
    )
    for wish_id, person_id in session.execute(waiting).all():
        note(session, actor, "wish.round_cancelled", row, now, wish_id=str(wish_id), person_id=str(person_id))


def _loaded() -> Select[Round]:
    return select(Round).options(joinedload(Round.facility), selectinload(Round.shares))


def _apply(row: Round, terms: Terms) -> None:
    for name in (
        "name",
        "note",
        "first_day",
        "last_day",
        "opens_at",
        "closes_at",
        "cap_minutes",
        "budget",
        "reserve_percent",
    ):
        setattr(row, name, getattr(terms, name))
    row.weights = asdict(terms.weights)
    row.shares = [
        RoundShare(
            organisation_kind=share.organisation_kind,
            category_code=share.category_code,
            region_code=share.region_code,
            floor_minutes=share.floor_minutes,
            annual_minutes=share.annual_minutes,
            rounds_left=share.rounds_left,
            subsidy_percent=share.subsidy_percent,
        )
        for share in terms.shares
    ]


def _check(session: Session, facility: Facility, terms: Terms, now: datetime) -> None:
    wrong: dict[str, str] = {}
    tz = zone(facility.zone)
    if not terms.name.strip():
        wrong["name"] = "required"
    elif len(terms.name) > LONGEST_NAME:
        wrong["name"] = "too_long_text"
    if len(terms.note) > LONGEST_NOTE:
        wrong["note"] = "too_long_text"
    if not 2000 <= terms.first_day.year < 2100 or not 2000 <= terms.last_day.year < 2100:
        wrong["first_day"] = "out_of_range"
    elif terms.last_day < terms.first_day:
        wrong["last_day"] = "inverted"
    elif terms.last_day - terms.first_day > LONGEST:
        wrong["last_day"] = "out_of_range"
    elif terms.closes_at > instant(terms.first_day, 0, tz):
        wrong["closes_at"] = "after_first_day"
    if terms.closes_at <= max(terms.opens_at, now):
        wrong["closes_at"] = "inverted" if terms.closes_at <= terms.opens_at else "past"
    if terms.cap_minutes is not None and not 15 <= terms.cap_minutes <= 10_000_000:
        wrong["cap_minutes"] = "out_of_range"
    if terms.budget is not None and not 0 <= terms.budget < 1_000_000_000:
        wrong["budget"] = "out_of_range"
    if not 0 <= terms.reserve_percent <= 50:
        wrong["reserve_percent"] = "out_of_range"
    wrong |= dict.fromkeys(terms.weights.wrong, "out_of_range")
    wrong |= _wrong_shares(session, terms.shares)
    if wrong:
        raise Invalid(wrong)


def _nested_regions(shares: Sequence[ShareTerms]) -> bool:
    """Tell whether an organisation could fall under two of the regions to which something is promised."""
    of_kind: dict[OrganisationKind, set[str]] = {}
    for share in shares:
        of_kind.setdefault(share.organisation_kind, set()).add(share.region_code or "")
    return any(
        one != other and other.startswith(prefix(one))
        for codes in of_kind.values()
        for one in codes
        for other in codes
    )


def _wrong_shares(session: Session, shares: Sequence[ShareTerms]) -> dict[str, str]:
    if len(shares) > MOST_SHARES:
        return {"shares": "too_large"}
    codes = {share.category_code for share in shares if share.category_code is not None}
    if any(one != other and other.startswith(one) for one in codes for other in codes):
        return {"shares": "nested"}
    if len({(one.organisation_kind, one.region_code, one.category_code) for one in shares}) < len(shares):
        return {"shares": "duplicate"}
    if _nested_regions(shares):
        return {"shares": "nested_region"}
    if any(one.region_code and not organisations.REGION.fullmatch(one.region_code) for one in shares):
        return {"shares": "malformed"}
    if codes - set(session.scalars(select(Category.code).where(Category.code.in_(codes)))):
        return {"shares": "unknown"}
    for share in shares:
        minutes = [m for m in (share.floor_minutes, share.annual_minutes) if m is not None]
        if len(minutes) > 1:
            return {"shares": "one_promise"}
        figures = (*minutes, share.rounds_left - 1, share.subsidy_percent)
        if any(not 0 <= figure <= 10_000_000 for figure in figures) or share.subsidy_percent > 100:
            return {"shares": "out_of_range"}
    return {}

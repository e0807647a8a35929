"""Wishes of a round: submitted, withdrawn, ranked, and what a manager settles about one before a run."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.access import Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.rounds import PinKind, RoundState, WishState
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import bookings, round_steps, rounds, waitlist
from booking.services.round_steps import Stage
from models import (
    Instrument,
    Person,
    Round,
    RoundPin,
    RoundStepInstrument,
    RoundWish,
    RoundWishInstrument,
    RoundWishStep,
)

MOST_WISHES = 20
"""Nobody has more wishes in one round."""

MOST_INSTRUMENTS = 50
LONGEST_PURPOSE = 2000
LEAST_REASON, LONGEST_REASON = 3, 500
PINNABLE = frozenset({RoundState.OPEN, RoundState.CLOSED, RoundState.PUBLISHED})


def submit(
    session: Session,
    *,
    actor: Actor,
    round_id: UUID,
    instrument_ids: Sequence[int],
    minutes: int,
    window: Span | None = None,
    project_id: UUID | None = None,
    purpose: str = "",
    may_move: bool = False,
    keep_waiting: bool = True,
    following: Sequence[Stage] = (),
    now: datetime,
) -> RoundWish:
    """Wish for so many minutes on any of the instruments, those liked best first, within a window of the round.

    With `following`, further steps, it is a process: all steps are served, or none is.

    :raises NotFound: if there is no such round, instrument or project for this actor
    :raises Refused: if the round takes no wishes now, or none of the instruments could ever be used so
    :raises Invalid: if the wish makes no sense
    """
    require(actor, "wish.make")
    if actor.person_id is None:
        raise Forbidden("wish.make", sign_in=True)
    row = rounds.get(session, actor=actor, round_id=round_id)
    _check_open(row, now)
    whole = rounds.span_of(row)
    within = window or whole
    places = list(dict.fromkeys(instrument_ids))
    _check(places, minutes, within, whole, purpose)
    round_steps.check(Stage(minutes, tuple(places)), following, within)
    rows = _instruments(session, actor, row, places)
    organisation_id = bookings.wish_for(session, actor, None, (), {}, project_id, now).organisation_id
    usable = set(waitlist.usable(session, actor, rows, within, minutes, 1, now))
    following = [_usable(session, actor, row, stage, within, now) for stage in following]
    _check_number(session, actor.person_id, round_id)
    wish = RoundWish(
        id=uuid4(),
        round_id=round_id,
        person_id=actor.person_id,
        organisation_id=organisation_id,
        project_id=project_id,
        window_starts_at=within.start,
        window_ends_at=within.end,
        minutes=minutes,
        priority=2,
        may_move=may_move,
        keep_waiting=keep_waiting,
        purpose=purpose,
        state=WishState.WAITING,
        submitted_at=now,
        reasons=[],
        choices=[
            RoundWishInstrument(instrument_id=place, rank=rank)
            for rank, place in enumerate(place for place in places if place in usable)
        ],
        following=round_steps.rows(following),
    )
    session.add(wish)
    session.flush()
    rounds.note(session, actor, "wish.submitted", row, now, wish_id=str(wish.id))
    return wish


def withdraw(session: Session, *, actor: Actor, wish_id: UUID, now: datetime) -> RoundWish:
    """Take a wish back; once a draft is confirmed it is a booking, which is cancelled as such.

    :raises NotFound: if there is no such wish for this actor
    :raises Forbidden: if the actor may see but not take it back
    :raises Refused: if it is settled
    """
    wish = _lock(session, actor, wish_id, "wish.withdraw")
    if wish.state is WishState.WITHDRAWN:
        return wish
    _check_waiting(wish)
    wish.state = WishState.WITHDRAWN
    round_steps.put(wish, None)
    session.flush()
    row = rounds.get(session, actor=actor, round_id=wish.round_id)
    rounds.note(session, actor, "wish.withdrawn", row, now, wish_id=str(wish.id))
    return wish


def rank(
    session: Session, *, actor: Actor, wish_id: UUID, priority: int, reason: str, now: datetime
) -> RoundWish:
    """Give a wish another priority; why stands in the history.

    :raises NotFound: if there is no such wish for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: without a reason, or if there is no such priority
    :raises Refused: if it is settled
    """
    if not 1 <= priority <= 4:
        raise Invalid({"priority": "out_of_range"})
    _check_reason(reason)
    wish = _lock(session, actor, wish_id, "round.keep")
    _check_waiting(wish)
    before, wish.priority = wish.priority, priority
    session.flush()
    if before != priority:
        _note(session, actor, "wish.ranked", wish, now, before=before, after=priority, reason=reason)
    return wish


def pin(
    session: Session,
    *,
    actor: Actor,
    wish_id: UUID,
    instrument_id: int | None,
    starts_at: datetime | None,
    following: Sequence[tuple[int, datetime]] = (),
    reason: str,
    now: datetime,
) -> RoundPin:
    """Settle where a wish goes whatever the next run finds, or, without a place, that it is left out.

    Of a process `following` says where each further step goes.

    :raises NotFound: if there is no such wish for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: without a reason, or if the place is none that the wish names
    :raises Refused: if it is settled
    """
    _check_reason(reason)
    wish = _lock(session, actor, wish_id, "round.keep")
    _check_waiting(wish)
    if (instrument_id is None) != (starts_at is None):
        raise Invalid({"start" if starts_at is None else "instrument_id": "required"})
    if instrument_id is not None and starts_at is not None:
        _check_place(wish, [(instrument_id, starts_at), *following])
    known = session.get(RoundPin, wish_id)
    row = known or RoundPin(wish_id=wish_id)
    row.kind = PinKind.LEFT_OUT if instrument_id is None else PinKind.PLACE
    row.instrument_id, row.starts_at = instrument_id, starts_at
    row.following = [[place, start.isoformat()] for place, start in following]
    row.reason, row.made_by = reason.strip(), actor.person_id
    session.add(row)
    session.flush()
    _note(session, actor, "wish.pinned", wish, now, pin=row.kind.value, reason=row.reason)
    return row


def unpin(session: Session, *, actor: Actor, wish_id: UUID, now: datetime) -> None:
    """Let the next run decide about a wish again.

    :raises NotFound: if there is no such wish for this actor
    :raises Forbidden: if the actor does not manage the facility
    """
    wish = _lock(session, actor, wish_id, "round.keep")
    row = session.get(RoundPin, wish_id)
    if row is not None:
        session.delete(row)
        session.flush()
        _note(session, actor, "wish.unpinned", wish, now)


# --- reading --------------------------------------------------------------------------------------


def of_round(session: Session, *, actor: Actor, round_id: UUID) -> list[RoundWish]:
    """Give all wishes of a round that were not taken back to its facility's staff, to others their own."""
    row = rounds.get(session, actor=actor, round_id=round_id)
    query = _loaded().where(RoundWish.round_id == round_id, RoundWish.state != WishState.WITHDRAWN)
    if not may(actor, "wish.see", Subject(facility_id=row.facility_id)):
        query = query.where(RoundWish.person_id == actor.person_id)
    return list(session.scalars(query.order_by(RoundWish.submitted_at, RoundWish.id)))


def mine(session: Session, *, actor: Actor, limit: int = 50) -> list[tuple[RoundWish, Round]]:
    """Give the actor's own wishes of all rounds with their rounds, the newest first."""
    require(actor, "round.see")
    query = (
        _loaded()
        .add_columns(Round)
        .join(Round, Round.id == RoundWish.round_id)
        .options(joinedload(Round.facility))
        .where(RoundWish.person_id == actor.person_id, RoundWish.state != WishState.WITHDRAWN)
        .order_by(RoundWish.submitted_at.desc(), RoundWish.id)
    )
    return [(wish, row) for wish, row in session.execute(query.limit(limit))]


def get(session: Session, *, actor: Actor, wish_id: UUID) -> RoundWish:
    """Give one wish.

    :raises NotFound: if there is none, or none that this actor may see
    """
    wish = session.scalars(_loaded().where(RoundWish.id == wish_id)).one_or_none()
    if wish is None or not _may(session, actor, "wish.see", wish):
        raise NotFound("wish", wish_id)
    return wish


def pins(session: Session, *, round_id: UUID) -> dict[UUID, RoundPin]:
    """Give what is settled about wishes of a round."""
    query = select(RoundPin).join(RoundWish, RoundWish.id == RoundPin.wish_id)
    return {row.wish_id: row for row in session.scalars(query.where(RoundWish.round_id == round_id))}


def _loaded() -> Select[RoundWish]:
    return select(RoundWish).options(
        joinedload(RoundWish.person),
        selectinload(RoundWish.choices).joinedload(RoundWishInstrument.instrument),
        selectinload(RoundWish.following)
        .selectinload(RoundWishStep.choices)
        .joinedload(RoundStepInstrument.instrument),
    )


def _lock(session: Session, actor: Actor, wish_id: UUID, action: str) -> RoundWish:
    session.execute(select(RoundWish.id).where(RoundWish.id == wish_id).with_for_update())
    query = _loaded().where(RoundWish.id == wish_id).execution_options(populate_existing=True)
    wish = session.scalars(query).one_or_none()
    if wish is None or not (_may(session, actor, "wish.see", wish) or _may(session, actor, action, wish)):
        raise NotFound("wish", wish_id)
    require(actor, action, _subject(session, wish))
    return wish


def _may(session: Session, actor: Actor, action: str, wish: RoundWish) -> bool:
    return may(actor, action, _subject(session, wish))


def _subject(session: Session, wish: RoundWish) -> Subject:
    facility_id = session.scalar(select(Round.facility_id).where(Round.id == wish.round_id))
    return Subject(owner_id=wish.person_id, facility_id=facility_id)


def _note(session: Session, actor: Actor, kind: str, wish: RoundWish, now: datetime, **data: Any) -> None:
    row = rounds.get(session, actor=actor, round_id=wish.round_id)
    rounds.note(session, actor, kind, row, now, wish_id=str(wish.id), **data)


def _usable(session: Session, actor: Actor, row: Round, stage: Stage, within: Span, now: datetime) -> Stage:
    """Give a step with those of its instruments on which it is possible but for the time being taken."""
    rows = _instruments(session, actor, row, list(dict.fromkeys(stage.instrument_ids)))
    good = set(waitlist.usable(session, actor, rows, within, stage.minutes, 1, now))
    return replace(stage, instrument_ids=tuple(one.id for one in rows if one.id in good))


def _instruments(session: Session, actor: Actor, row: Round, places: Sequence[int]) -> list[Instrument]:
    found = {
        one.id: one
        for one in session.scalars(
            select(Instrument).where(
                Instrument.id.in_(places), Instrument.facility_id == row.facility_id, Instrument.bookable
            )
        )
    }
    if set(places) - found.keys():
        raise Invalid({"instruments": "unknown"})
    bookings.require_visible(actor, found.values())
    return [found[place] for place in places]


def _check_open(row: Round, now: datetime) -> None:
    if row.state is not RoundState.OPEN or now >= row.closes_at:
        raise Refused([Reason("round_closed", {"closes_at": row.closes_at, "zone": row.facility.zone})])
    if now < row.opens_at:
        raise Refused([Reason("round_not_open", {"opens_at": row.opens_at, "zone": row.facility.zone})])


def _check(places: Sequence[int], minutes: int, within: Span, whole: Span, purpose: str) -> None:
    wrong = {}
    if not places:
        wrong["instruments"] = "required"
    elif len(places) > MOST_INSTRUMENTS:
        wrong["instruments"] = "too_large"
    if minutes < 15 or minutes % 15:
        wrong["minutes"] = "out_of_range"
    if within.start >= within.end:
        wrong["window"] = "inverted"
    elif not whole.contains(within):
        wrong["window"] = "outside_round"
    elif timedelta(minutes=minutes) > within.duration:
        wrong["window"] = "too_small"
    if len(purpose) > LONGEST_PURPOSE:
        wrong["purpose"] = "too_long_text"
    if wrong:
        raise Invalid(wrong)


def _check_place(wish: RoundWish, found: Sequence[tuple[int, datetime]]) -> None:
    if len(found) != 1 + len(wish.following):
        raise Invalid({"following": "required" if len(found) <= len(wish.following) else "too_large"})
    round_steps.check_place(wish, round_steps.placed(wish, found))


def _check_reason(reason: str) -> None:
    if not LEAST_REASON <= len(reason.strip()) <= LONGEST_REASON:
        raise Invalid({"reason": "required" if len(reason.strip()) < LEAST_REASON else "too_long_text"})


def _check_waiting(wish: RoundWish) -> None:
    if wish.state is not WishState.WAITING:
        raise Refused([Reason("wish_settled", {"state": wish.state.value})])


def _check_number(session: Session, person_id: UUID, round_id: UUID) -> None:
    # Locking the person lets two wishes sent at once count each other.
    session.execute(select(Person.id).where(Person.id == person_id).with_for_update())
    query = select(func.count()).where(
        RoundWish.round_id == round_id,
        RoundWish.person_id == person_id,
        RoundWish.state == WishState.WAITING,
    )
    if (session.scalar(query) or 0) >= MOST_WISHES:
        raise Refused([Reason("too_many_wishes", {"most": MOST_WISHES})])

"""Proposals: what is proposed to the owner of a displaced booking, held for them, and what they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain import one_time
from booking.domain.access import SYSTEM, Actor, NotFound, Subject, may
from booking.domain.occupation import Item
from booking.domain.replanning import (
    Answer,
    Cause,
    IfSilent,
    ProposalKind,
    ProposalState,
    ReplanState,
    answer_by,
    on_silence,
)
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import (
    acting,
    availability,
    bookings,
    bundles,
    events,
    holds,
    mailed_links,
    occupation,
    waitlist,
)
from models import (
    Booking,
    BookingItem,
    Instrument,
    OneTimeLink,
    Proposal,
    Purpose,
    Replan,
)

SET_ASIDE = frozenset({"notice", "notice_to_change", "horizon"})
"""Rules that do not stand in the way of moving what the facility itself displaces; the reason is in the history."""

WAITS = timedelta(days=7)
"""So long behind its old end somebody who gives a displaced booking up may wait for time in line."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a repair asks of one booking: another place, or (None) none; `hit` tells it from a neighbour.

    `parts` are all its items where there is more to say than one instrument and start, and `instead` parts into which
    it could be divided if the place is not to be had.
    """

    booking_id: UUID
    hit: bool
    instrument_id: int | None
    starts_at: datetime | None
    cost: int
    slots: int
    parts: tuple[Item, ...] = ()
    instead: tuple[Item, ...] = ()

    @property
    def has_place(self) -> bool:
        """Tell whether there is a place for it, as a whole or in parts."""
        return self.instrument_id is not None or bool(self.instead)


def make(
    session: Session,
    *,
    row: Replan,
    number: int,
    change: Change,
    booking: Booking,
    before: Sequence[Item],
    locked: occupation.Locked,
    key: str,
    now: datetime,
) -> Proposal:
    """Propose a change to a booking's owner, and hold the place; a neighbour who agreed beforehand is only noted.

    `before` are the items that it had when the repair was chosen. The instruments are locked, and rid of holds that
    have run out.

    :raises Refused: if the database's own guard says that the place is taken
    """
    proposal = _proposal(session, row, number, change, booking, before, locked, now)
    row.proposals.append(proposal)
    session.flush()
    if change.hit:
        codes = {place: row.code for place, row in locked.instruments.items()}
        _tell(session, row, proposal, booking, codes, key, now)
    return proposal


def answer(session: Session, *, actor: Actor, proposal_id: UUID, answer: Answer, now: datetime) -> Proposal:
    """Take the place that is proposed, give the booking up, or give it up and wait in line. Said twice it is said once.

    :raises NotFound: if nothing of the kind is proposed to this actor
    :raises Refused: if the time to answer is over, it was answered otherwise, there is no place to take, or a rule
        stands against it by now
    """
    row, proposal, booking = _locked_proposal(session, proposal_id)
    if not _answers(actor, booking):
        raise NotFound("proposal", proposal_id)
    if proposal.state is _AFTER[answer]:
        return proposal
    if proposal.state is not ProposalState.OPEN or (
        proposal.deadline is not None and proposal.deadline <= now
    ):
        raise Refused([Reason("proposal_over", {"state": proposal.state.value})])
    _settle(session, actor, row, proposal, booking, answer, _AFTER[answer], now)
    return proposal


_AFTER = {
    Answer.ACCEPT: ProposalState.ACCEPTED,
    Answer.CANCEL: ProposalState.CANCELLED,
    Answer.WAIT: ProposalState.WAITING,
}


def unanswered(session: Session, *, now: datetime) -> list[UUID]:
    """Give the proposals whose deadline has passed in silence."""
    query = select(Proposal.id).where(Proposal.state == ProposalState.OPEN, Proposal.deadline <= now)
    return list(session.scalars(query.order_by(Proposal.deadline)))


def silent(session: Session, *, proposal_id: UUID, now: datetime) -> Proposal | None:
    """Do to a booking what its owner agreed to for the case that they say nothing; None if they answered meanwhile."""
    row, proposal, booking = _locked_proposal(session, proposal_id)
    if proposal.state is not ProposalState.OPEN or proposal.deadline is None or proposal.deadline > now:
        return None
    agreed = on_silence(if_silent(proposal), proposal.kind)
    try:
        with session.begin_nested():
            _settle(session, SYSTEM, row, proposal, booking, agreed, ProposalState.SILENT, now)
    except Refused as refused:
        # What was agreed to is no longer possible: the booking stays as it is, for its facility to settle.
        row, proposal, booking = _locked_proposal(session, proposal_id)
        proposal.why = refused.reasons[0].code
        _settle(session, SYSTEM, row, proposal, booking, None, ProposalState.OVERTAKEN, now)
    return proposal


def if_silent(proposal: Proposal) -> IfSilent:
    """Give what silence stands for: nobody agreed to parts beforehand, nor to a place after the day it is needed."""
    agreed = proposal.booking.if_silent
    useless = proposal.kind is ProposalKind.SPLIT or too_late(proposal.booking, proposed_items(proposal))
    return IfSilent.STAY if agreed is IfSilent.MOVE and useless else agreed


def _settle(
    session: Session,
    actor: Actor,
    row: Replan,
    proposal: Proposal,
    booking: Booking,
    said: Answer | None,
    state: ProposalState,
    now: datetime,
) -> None:
    places = {item.instrument_id for item in booking.items}
    occupation.lock(session, places | {item.instrument_id for item in proposed_items(proposal)})
    if said is Answer.ACCEPT and proposal.kind is ProposalKind.NO_PLACE:
        raise Refused([Reason("no_place")])
    close(session, proposal, state, now)
    if said is Answer.ACCEPT:
        _accept(session, row, proposal, booking, now)
    elif said is not None:
        _give_up(session, booking, wait=said is Answer.WAIT, now=now)
    if all(one.state is not ProposalState.OPEN for one in row.proposals):
        row.state, row.over_at = ReplanState.OVER, now
    session.flush()
    told = said.value if said is not None else "none"
    note(session, actor, "proposal.answered", row, now, booking=booking, answer=told, state=state.value)


def _accept(session: Session, row: Replan, proposal: Proposal, booking: Booking, now: datetime) -> None:
    if booking.sequence != proposal.booking_sequence:
        raise Refused([Reason("proposal_over", {"state": ProposalState.OVERTAKEN.value})])
    items = proposed_items(proposal)
    if not items:
        raise Refused([Reason("no_place")])
    change_to(session, booking, items, row, now)


def proposed_items(proposal: Proposal) -> list[Item]:
    """Give the items that the booking would have; nothing where there is no place."""
    if proposal.parts is not None:
        return bundles.read(proposal.parts)
    if proposal.instrument_id is None or proposal.starts_at is None or proposal.ends_at is None:
        return []
    span = Span(proposal.starts_at, proposal.ends_at)
    return [Item(proposal.instrument_id, span, proposal.booking.items[0].quantity)]


def price(session: Session, booking: Booking) -> Decimal | None:
    """Give what a booking was estimated to cost its owner, None where that is negotiated; nothing is charged yet."""
    owner = acting.actor_of(session, booking.person_id) or Actor()
    lines = availability.estimates(session, actor=owner, items=bundles.items_of(booking))
    return None if None in lines else sum((line.amount for line in lines if line), Decimal(0))


def items_before(proposal: Proposal) -> list[Item]:
    """Give the items that the booking had when its owner was asked."""
    return bundles.items_of(proposal.booking) if proposal.before is None else bundles.read(proposal.before)


def too_late(booking: Booking, items: Sequence[Item]) -> bool:
    """Tell whether a booking would end after the day by which it is needed; its facility is loaded."""
    due = bundles.due_at(booking)
    return due is not None and any(item.span.end > due for item in items)


def _give_up(session: Session, booking: Booking, *, wait: bool, now: datetime) -> None:
    owner, items = acting.actor_of(session, booking.person_id), bundles.items_of(booking)
    # In the system's name, so that nobody is marked down for what the facility brought about.
    bookings.cancel(session, actor=SYSTEM, booking_id=booking.id, reason="displaced", now=now)
    if not wait or owner is None:
        return
    for item in items:
        waitlist.join(
            session,
            actor=owner,
            instrument_ids=[item.instrument_id],
            window=Span(max(item.span.start, now), item.span.end + WAITS),
            minutes=int(item.span.minutes),
            quantity=item.quantity,
            project_id=booking.project_id,
            purpose=booking.purpose,
            now=now,
        )


def close(session: Session, proposal: Proposal, state: ProposalState, now: datetime) -> None:
    """End a proposal and give its place back; its instruments are locked."""
    session.execute(
        update(OneTimeLink)
        .where(OneTimeLink.subject == str(proposal.id), OneTimeLink.used_at.is_(None))
        .values(used_at=now)
    )
    if proposal.hold_id is not None:
        occupation.drop(session, hold_ids=[proposal.hold_id], now=now)
    proposal.state, proposal.answered_at, proposal.hold_id = state, now, None
    session.flush()


def linked(session: Session, *, link_id: UUID, secret: str, now: datetime) -> tuple[Actor, UUID]:
    """Give whom a mailed link stands for and the proposal that it answers; nothing is answered by that.

    What is over is still told of for a while, so that nobody wonders.

    :raises NotFound: if there is no such link, or its person may not sign in
    """
    return mailed_links.follow(
        session, purpose=Purpose.ANSWER_PROPOSAL, link_id=link_id, secret=secret, now=now
    )


# --- reading --------------------------------------------------------------------------------------


def get(session: Session, *, actor: Actor, proposal_id: UUID) -> Proposal:
    """Give what is proposed to the actor, answered or not.

    :raises NotFound: if nothing of the kind is
    """
    found = session.scalars(select(Proposal).where(Proposal.id == proposal_id).options(*_WHAT)).one_or_none()
    if found is None or not _answers(actor, found.booking):
        raise NotFound("proposal", proposal_id)
    return found


def cause_of(session: Session, proposal: Proposal) -> Cause:
    """Give what displaces the booking."""
    return session.scalars(select(Replan.cause).where(Replan.id == proposal.replan_id)).one()


def waiting_for(session: Session, *, actor: Actor, booking: Booking) -> Proposal | None:
    """Give what waits for this actor's answer about a booking."""
    if not _answers(actor, booking):
        return None
    query = select(Proposal).where(Proposal.booking_id == booking.id, Proposal.state == ProposalState.OPEN)
    return session.scalars(query.options(*_WHAT)).one_or_none()


def _answers(actor: Actor, booking: Booking) -> bool:
    return may(actor, "proposal.answer", Subject(owner_id=booking.person_id, agent_id=booking.booked_by_id))


def mine(session: Session, *, actor: Actor, now: datetime) -> list[Proposal]:
    """Give what is proposed to the actor and waits for an answer, the most urgent first."""
    query = (
        select(Proposal)
        .join(Booking, Booking.id == Proposal.booking_id)
        .where(
            Booking.person_id == actor.person_id,
            Proposal.state == ProposalState.OPEN,
            Proposal.deadline > now,
        )
        .options(*_WHAT)
        .order_by(Proposal.deadline)
    )
    return list(session.scalars(query))


def locked(session: Session, *, replan_id: UUID) -> Replan | None:
    """Read a replan with its proposals and bookings as they are now, so that nobody else changes it meanwhile."""
    session.execute(select(Replan.id).where(Replan.id == replan_id).with_for_update())
    fresh = (
        select(Replan)
        .where(Replan.id == replan_id)
        .options(selectinload(Replan.proposals).joinedload(Proposal.booking).selectinload(Booking.items))
    )
    session.scalars(fresh.execution_options(populate_existing=True)).one_or_none()
    return session.scalars(loaded().where(Replan.id == replan_id)).one_or_none()


def loaded() -> Select[Replan]:
    """Give the query of replans with all that their pages tell."""
    return select(Replan).options(joinedload(Replan.closure), selectinload(Replan.proposals).options(*_WHAT))


_WHAT = (
    joinedload(Proposal.booking)
    .selectinload(Booking.items)
    .joinedload(BookingItem.instrument)
    .joinedload(Instrument.facility),
    joinedload(Proposal.booking).joinedload(Booking.person),
    joinedload(Proposal.instrument).joinedload(Instrument.facility),
)


# --- making ----------------------------------------------------------------------------------------


def change_to(
    session: Session, booking: Booking, items: Sequence[Item], row: Replan, now: datetime
) -> Booking:
    """Move a booking in its owner's name; what the facility itself brought about sets notice and horizon aside.

    :raises Refused: if any other rule or the calendar stands against it
    """
    owner = acting.actor_of(session, booking.person_id) or SYSTEM
    try:
        return bookings.change(
            session, actor=owner, booking_id=booking.id, version=None, items=items, now=now
        )
    except Refused as refused:
        if not {reason.code for reason in refused.reasons} <= SET_ASIDE:
            raise
    why = reason_of(row) or (row.closure.kind.value if row.closure else row.cause.value)
    return bookings.change(
        session, actor=SYSTEM, booking_id=booking.id, version=None, items=items, override=why, now=now
    )


def reason_of(row: Replan) -> str:
    """Give what the facility says of what displaces the bookings, nothing where it says nothing."""
    return row.closure.reason if row.closure is not None else ""


def items_of(booking: Booking, one: Change) -> list[Item]:
    """Give what a booking would be by a change; nothing where there is no place."""
    if one.parts:
        return list(one.parts)
    if one.instrument_id is None or one.starts_at is None:
        return []
    item = booking.items[0]
    length = item.ends_at - item.starts_at
    return [Item(one.instrument_id, Span(one.starts_at, one.starts_at + length), item.quantity)]


def _proposal(
    session: Session,
    row: Replan,
    number: int,
    one: Change,
    booking: Booking,
    before: Sequence[Item],
    locked: occupation.Locked,
    now: datetime,
) -> Proposal:
    items, why = _place(session, one, booking, now)
    start, end = (min(i.span.start for i in items), max(i.span.end for i in items)) if items else (None, None)
    deadline = answer_by(now, booking.starts_at, start) if one.hit else None
    hold = None
    if items and deadline:
        hold = holds.keep_place(session, booking=booking, items=items, locked=locked, until=deadline, now=now)
    return Proposal(
        id=uuid4(),
        replan_id=row.id,
        number=number,
        by_agreement=not one.hit,
        booking=booking,
        booking_sequence=booking.sequence,
        kind=_kind(booking, items),
        instrument_id=items[0].instrument_id if items else None,
        starts_at=start,
        ends_at=end,
        parts=[bundles.written(item) for item in items],
        before=[bundles.written(item) for item in before],
        cost=one.cost,
        state=ProposalState.OPEN if one.hit else ProposalState.ACCEPTED,
        hold_id=hold.id if hold else None,
        deadline=deadline,
        answered_at=None if one.hit else now,
        why=why,
    )


def _place(session: Session, one: Change, booking: Booking, now: datetime) -> tuple[list[Item], str]:
    """Give the place that is proposed, as a whole or in parts, or none and the code of what stands against it."""
    found = items_of(booking, one)
    if not one.hit:
        return found, ""
    why = ""
    for items in (found, list(one.instead)):
        against = _against(session, booking, items, now) if items else ""
        if items and not against:
            return items, ""
        why = why or against
    return [], why


def _kind(booking: Booking, items: Sequence[Item]) -> ProposalKind:
    if not items:
        return ProposalKind.NO_PLACE
    if len(items) > len(booking.items):
        return ProposalKind.SPLIT
    same = {item.instrument_id for item in items} == {row.instrument_id for row in booking.items}
    return ProposalKind.LATER if same else ProposalKind.ELSEWHERE


def _against(session: Session, booking: Booking, items: Sequence[Item], now: datetime) -> str:
    """Give the code of a rule, other than those set aside, that stands against a place for this owner."""
    owner = acting.actor_of(session, booking.person_id)
    if owner is None:
        return "owner_gone"
    verdict = bookings.dry_run(session, actor=owner, items=items, booking_id=booking.id, now=now)
    return next((reason.code for reason in verdict.reasons if reason.code not in SET_ASIDE), "")


def _tell(
    session: Session,
    row: Replan,
    proposal: Proposal,
    booking: Booking,
    codes: Mapping[int, str],
    key: str,
    now: datetime,
) -> None:
    """Record what is proposed, with the link by which it can be answered from the mail."""
    link_id = uuid4()
    session.add(
        OneTimeLink(
            id=link_id,
            person_id=booking.person_id,
            purpose=Purpose.ANSWER_PROPOSAL,
            subject=str(proposal.id),
            secret_hash=one_time.hashed(one_time.secret(key, link_id)),
            created_at=now,
            expires_at=proposal.deadline,
        )
    )
    session.flush()
    note(
        session,
        SYSTEM,
        "proposal.made",
        row,
        now,
        booking=booking,
        proposal_id=str(proposal.id),
        link_id=str(link_id),
        person_id=str(booking.person_id),
        cause=row.cause.value,
        proposed=proposal.kind.value,
        instrument=codes[proposal.instrument_id] if proposal.instrument_id else "",
        parts=[
            [codes[item.instrument_id], *(at.isoformat() for at in item.span)]
            for item in proposed_items(proposal)
        ],
        estimate=None if (sum_of := price(session, booking)) is None else str(sum_of),
        start=proposal.starts_at.isoformat() if proposal.starts_at else None,
        end=proposal.ends_at.isoformat() if proposal.ends_at else None,
        deadline=proposal.deadline.isoformat() if proposal.deadline else None,
        if_silent=if_silent(proposal).value,
        reason=reason_of(row),
    )


def _locked_proposal(session: Session, proposal_id: UUID) -> tuple[Replan, Proposal, Booking]:
    replan_id = session.scalar(select(Proposal.replan_id).where(Proposal.id == proposal_id))
    if replan_id is None:
        raise NotFound("proposal", proposal_id)
    row = locked(session, replan_id=replan_id)
    if row is None:
        raise NotFound("proposal", proposal_id)
    proposal = next(one for one in row.proposals if one.id == proposal_id)
    return row, proposal, proposal.booking


def note(
    session: Session,
    actor: Actor,
    kind: str,
    row: Replan,
    now: datetime,
    booking: Booking | None = None,
    **data: Any,
) -> None:
    """Record a deed about a replan, and about a booking of it."""
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        booking=booking,
        facility_id=row.facility_id,
        subject=str(row.id),
        **data,
    )

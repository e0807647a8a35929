"""Offers: time that was found for one who waits is offered to them with a deadline, or booked where they asked for it.

An offer is a hold. Nobody else hears of the time until it is declined or its deadline passes.
"""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import one_time
from booking.domain import waitlist as line
from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, Subject, require
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span, subtract
from booking.services import acting, bookings, holds, line_routes, mailed_links, occupation, turns, waitlist
from booking.services.turns import Choice
from models import Booking, EntryState, OfferState, OneTimeLink, Purpose, WaitlistEntry, WaitlistOffer

WHY = "wish_found"
"""What the letter of a booking tells that came of a wish."""


def serve(session: Session, *, choice: Choice, key: str, now: datetime) -> Booking | WaitlistOffer | None:
    """Book the place that was found for a wish, or offer it; None says that it can no longer be had."""
    entry = session.get(WaitlistEntry, choice.entry_id)
    if entry is None or not entry.at_once:
        return offer(session, choice=choice, key=key, now=now)
    return _book(session, choice, now)


def offer(session: Session, *, choice: Choice, key: str, now: datetime) -> WaitlistOffer | None:
    """Offer the time to who was chosen: hold it, set a deadline, write the link of the mail that tells of it.

    None says that it can no longer be had, or that they no longer wait.
    """
    locked = occupation.lock(session, _places(choice))
    entry = waitlist.locked(session, entry_id=choice.entry_id)
    if entry is None or entry.state is not EntryState.WAITING:
        return None
    person = acting.actor_of(session, entry.person_id)
    instrument = locked.instruments[choice.instrument_id]
    if person is None:
        return None
    called = waitlist.ready(entry, now)
    deadline = turns.deadline(session, instrument, entry.person_id, choice.span.start, now, at_once=called)
    if deadline is None:
        return None
    items = _items(entry, choice)
    try:
        hold = holds.keep_offered(
            session,
            actor=person,
            items=items,
            locked=locked,
            project_id=entry.project_id,
            until=deadline,
            at_once=called,
            now=now,
        )
    except (Refused, NotFound, Forbidden, Invalid):
        return None
    found = WaitlistOffer(
        id=uuid4(),
        entry_id=entry.id,
        instrument_id=instrument.id,
        hold_id=hold.id,
        starts_at=choice.span.start,
        ends_at=choice.span.end,
        following=line_routes.following(items),
        state=OfferState.OPEN,
        offered_at=now,
        deadline=deadline,
    )
    entry.state = EntryState.OFFERED
    link_id = uuid4()
    session.add_all(
        [
            found,
            OneTimeLink(
                id=link_id,
                person_id=entry.person_id,
                purpose=Purpose.ANSWER_OFFER,
                subject=str(found.id),
                secret_hash=one_time.hashed(one_time.secret(key, link_id)),
                created_at=now,
                expires_at=deadline,
            ),
        ]
    )
    session.flush()
    waitlist.record(session, SYSTEM, "waitlist.offered", entry, now, offer=found, link_id=str(link_id))
    session.flush()
    return found


# --- answering ------------------------------------------------------------------------------------


def accept(session: Session, *, actor: Actor, offer_id: UUID, now: datetime) -> Booking:
    """Book what was offered. Accepted again it gives the booking that it made.

    :raises NotFound: if nothing of the kind was offered to this actor
    :raises Refused: if the time to answer is over, or a rule stands against it by now
    """
    require(actor, "booking.place")
    entry, offer = _answered(session, actor, offer_id)
    if offer.state is OfferState.TAKEN and entry.booking_id is not None:
        return bookings.get(session, actor=actor, booking_id=entry.booking_id)
    if offer.state is not OfferState.OPEN or offer.deadline <= now:
        raise Refused([Reason("offer_over", {"state": offer.state.value})])
    booking = bookings.place(
        session,
        actor=actor,
        items=_offered(session, actor, entry, offer),
        purpose=entry.purpose,
        project_id=entry.project_id,
        hold_id=offer.hold_id,
        at_once=waitlist.on_standby(entry) and entry.window_starts_at <= now,
        now=now,
    )
    waitlist.use_link(session, offer.id, now)
    offer.state, offer.answered_at, offer.hold_id = OfferState.TAKEN, now, None
    _served(entry, booking, now)
    waitlist.record(session, actor, "waitlist.taken", entry, now, offer=offer, booking_id=str(booking.id))
    session.flush()
    return booking


def decline(session: Session, *, actor: Actor, offer_id: UUID, now: datetime) -> WaitlistEntry:
    """Let an offer pass to the next in line; one goes on waiting for other times, where the wish leaves any.

    :raises NotFound: if nothing of the kind was offered to this actor
    :raises Refused: if it was answered otherwise, or the time to answer is over
    """
    entry, offer = _answered(session, actor, offer_id)
    if offer.state is OfferState.DECLINED:
        return entry
    if offer.state is not OfferState.OPEN:
        raise Refused([Reason("offer_over", {"state": offer.state.value})])
    let_pass(session, actor, entry, offer, OfferState.DECLINED, now)
    return entry


def linked(session: Session, *, link_id: UUID, secret: str, now: datetime) -> tuple[Actor, UUID]:
    """Give whom a mailed link stands for and the offer that it answers; nothing is answered by that.

    An offer that is over is still told of for a while, so that nobody wonders.

    :raises NotFound: if there is no such link, or its person may not sign in
    """
    return mailed_links.follow(session, purpose=Purpose.ANSWER_OFFER, link_id=link_id, secret=secret, now=now)


def unanswered(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Give the offers whose deadline has passed, the oldest first."""
    query = select(WaitlistOffer.id).where(
        WaitlistOffer.state == OfferState.OPEN, WaitlistOffer.deadline <= now
    )
    return list(session.scalars(query.order_by(WaitlistOffer.deadline).limit(limit)))


def pass_on(session: Session, *, offer_id: UUID, now: datetime) -> bool:
    """Let an offer that nobody answered go to the next in line; False says that it was answered meanwhile."""
    entry, found = waitlist.lock_offer(session, offer_id)
    if found.state is not OfferState.OPEN or found.deadline > now:
        return False
    let_pass(session, SYSTEM, entry, found, OfferState.SILENT, now)
    return True


def let_pass(
    session: Session,
    actor: Actor,
    entry: WaitlistEntry,
    found: WaitlistOffer,
    state: OfferState,
    now: datetime,
) -> None:
    """End an offer, declined or silent, and have its place in the line wait on where its wish leaves anything."""
    # Who lets it pass waits again only after the time was given back, so that it is not noted for them.
    waitlist.close_offer(session, found, state, now)
    if state is OfferState.SILENT:
        entry.here_at = None
    session.flush()
    left = _places_left(session, entry)
    ended = not left or line.over(waitlist.window_of(entry), entry.minutes, now)
    if ended:
        waitlist.end(entry, EntryState.LEFT if state is OfferState.DECLINED else EntryState.LAPSED, now)
    else:
        entry.state = EntryState.WAITING
        waitlist.look_again(session, entry, left, now)
    kind = "waitlist.declined" if state is OfferState.DECLINED else "waitlist.silent"
    waitlist.record(session, actor, kind, entry, now, offer=found, ended=ended)
    session.flush()


# --- how ------------------------------------------------------------------------------------------


def _places(choice: Choice) -> set[int]:
    return {choice.instrument_id, *(item.instrument_id for item in choice.route)}


def _items(entry: WaitlistEntry, choice: Choice) -> list[Item]:
    """Give what is to be held or booked: one use, or all steps of a process."""
    return list(choice.route) or [Item(choice.instrument_id, choice.span, entry.quantity)]


def _offered(session: Session, actor: Actor, entry: WaitlistEntry, offer: WaitlistOffer) -> list[Item]:
    """Give the items of what was offered.

    :raises Refused: if the process can no longer be done as it was offered
    """
    if not entry.steps:
        return [Item(offer.instrument_id, Span(offer.starts_at, offer.ends_at), entry.quantity)]
    try:
        return line_routes.items_of(session, actor=actor, entry=entry, offer=offer)
    except (Invalid, NotFound) as gone:
        raise Refused([Reason("offer_over", {"state": OfferState.WITHDRAWN.value})]) from gone


def _book(session: Session, choice: Choice, now: datetime) -> Booking | None:
    occupation.lock(session, _places(choice))
    entry = waitlist.locked(session, entry_id=choice.entry_id)
    if entry is None or entry.state is not EntryState.WAITING:
        return None
    person = acting.actor_of(session, entry.person_id)
    if person is None:
        return None
    try:
        with session.begin_nested():
            booking = bookings.place(
                session,
                actor=person,
                items=_items(entry, choice),
                purpose=entry.purpose,
                project_id=entry.project_id,
                why=WHY,
                now=now,
            )
    except (Refused, NotFound, Forbidden, Invalid):
        return None
    _served(entry, booking, now)
    waitlist.record(session, SYSTEM, "waitlist.booked", entry, now, booking_id=str(booking.id))
    session.flush()
    return booking


def _served(entry: WaitlistEntry, booking: Booking, now: datetime) -> None:
    booking.may_move = booking.makes_room = entry.may_move
    waitlist.end(entry, EntryState.SERVED, now)
    entry.booking_id = booking.id


def _answered(session: Session, actor: Actor, offer_id: UUID) -> tuple[WaitlistEntry, WaitlistOffer]:
    entry_id = session.scalar(select(WaitlistOffer.entry_id).where(WaitlistOffer.id == offer_id))
    owner = session.scalar(select(WaitlistEntry.person_id).where(WaitlistEntry.id == entry_id))
    if owner is None or owner != actor.person_id:
        raise NotFound("offer", offer_id)
    require(actor, "waitlist.answer", Subject(owner_id=owner))
    return waitlist.lock_offer(session, offer_id)


def _places_left(session: Session, entry: WaitlistEntry) -> list[int]:
    """Give the instruments on which something is left of the wish that was not offered before.

    Of a process there is always another route to look for.
    """
    if entry.steps:
        return [place.instrument_id for place in entry.places]
    passed = turns.passed(session, [entry.id])
    length = timedelta(minutes=entry.minutes)
    return [
        place.instrument_id
        for place in entry.places
        if any(
            span.duration >= length
            for span in subtract(
                line.read(entry.windows) or [waitlist.window_of(entry)],
                passed.get((entry.id, place.instrument_id), ()),
            )
        )
    ]

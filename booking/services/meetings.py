"""Meetings to which instruments are invited: each date is booked, moved or given up by the rules that all keep.

A date that cannot be had is declined with every reason and what could be had instead; the others stand. What has
been answered is kept for each date, so that a message which comes twice, or late, changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from booking.domain import invitations as itip
from booking.domain.access import Actor, Forbidden, NotFound
from booking.domain.foreign_calendars import ForeignCalendar, Limits, Occurrence
from booking.domain.invitations import Answer, Method
from booking.domain.lifecycle import Action, State, WrongMove, possible
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import alternatives, bookings, events, invitations
from booking.services.availability import Alternative
from booking.services.feeds import CALLED_OFF
from models import Booking, Instrument, MailSecret, Meeting, Person

MOST_DATES = 60
"""A meeting that repeats may have so many dates."""

REACH = timedelta(days=400)
"""So far back and ahead dates are looked at."""

LIMITS = Limits(octets=300_000, lines=10_000, events=100, dates=MOST_DATES, total=MOST_DATES)
SHOWN = 3
"""So many times are offered instead, and for so many dates of one meeting."""


def window(now: datetime) -> Span:
    """Give the span within which the dates of a meeting are read."""
    return Span(now - timedelta(days=1), now + REACH)


# --- who may invite ---------------------------------------------------------------------------------


def tag(session: Session, *, key: str, person_id: UUID) -> str:
    """Give the secret by which a person's invitations to instruments are known to be theirs."""
    return _tag(key, person_id, _serial(session, person_id))


def is_theirs(session: Session, *, keys: Sequence[str], person_id: UUID, tags: Sequence[str]) -> bool:
    """Tell whether one of the tags is the person's secret."""
    serial = _serial(session, person_id)
    return any(_tag(key, person_id, serial) in tags for key in keys)


def renew_tag(session: Session, *, actor: Actor, now: datetime) -> None:
    """Make the actor's secret useless; they have another from now on."""
    if actor.person_id is None:
        raise NotFound("person")
    row = session.get(MailSecret, actor.person_id)
    if row is None:
        session.add(MailSecret(person_id=actor.person_id, serial=1))
    else:
        row.serial += 1
    events.record(
        session, actor=actor, kind="mail_secret.renewed", now=now, subject=f"person:{actor.person_id}"
    )
    session.flush()


def _serial(session: Session, person_id: UUID) -> int:
    return session.scalar(select(MailSecret.serial).where(MailSecret.person_id == person_id)) or 0


def _tag(key: str, person_id: UUID, serial: int) -> str:
    return itip.secret(key, "invite", person_id, serial)


# --- what is asked ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """One message about one instrument."""

    person: Person
    actor: Actor
    instrument: Instrument
    attendee: str
    method: str
    now: datetime


def take(
    session: Session,
    *,
    person: Person,
    actor: Actor,
    instrument: Instrument,
    address: str,
    read: ForeignCalendar,
    host: str,
    now: datetime,
) -> str:
    """Do what a message says about the meetings in it, and answer; tell in a word what came of it.

    `address` is how the instrument was addressed.
    """
    told = "ignored"
    uids = dict.fromkeys([*(one.uid for one in read.occurrences), *(bad.uid for bad in read.problems)])
    for uid in uids:
        if not uid or itip.booking_of(uid, host) is not None:
            continue  # what is ours comes back to us when somebody answers to all
        dates = [one for one in read.occurrences if one.uid == uid]
        bad = next((one.code for one in read.problems if one.uid == uid), "")
        asked = _Asked(person, actor, instrument, _attendee(dates, address), read.method, now)
        if read.method == Method.CANCEL:
            told = _cancelled(session, asked, uid, dates, whole=uid in read.masters)
        elif bad or read.cut or read.beyond or not dates:
            told = _unread(session, asked, uid, dates, bad or "too_many_dates")
        else:
            told = _requested(session, asked, uid, dates, whole=uid in read.masters)
    return told


def _attendee(dates: Sequence[Occurrence], address: str) -> str:
    """Give the instrument's address as the meeting has it, since an answer must repeat it."""
    mine = itip.without_plus(address)[0]
    for one in dates:
        for guest in one.guests:
            if itip.without_plus(guest.address)[0] == mine:
                return guest.raw
    return f"mailto:{address}"


def _requested(session: Session, asked: _Asked, uid: str, dates: Sequence[Occurrence], *, whole: bool) -> str:
    known = _known(session, asked, uid)
    # Of a meeting that repeats, the dates that are over stay as they were.
    ahead = [one for one in dates if not one.recurrence or one.span.end > asked.now]
    fresh = [one for one in ahead if itip.is_newer(_last(known.get(one.recurrence)), one.sequence, one.stamp)]
    first = max(fresh or dates, key=lambda one: one.sequence)
    gone = [row for key, row in known.items() if whole and key not in {one.recurrence for one in dates}]
    gone = [row for row in gone if row.ends_at > asked.now]
    gone = [row for row in gone if itip.is_newer(_last(row), first.sequence, first.stamp)]
    if not fresh and not gone:
        return "stale"
    said = [line for row in gone if (line := _give_up(session, asked, row, first)) is not None]
    for one in fresh:
        offers = sum(bool(line["instead"]) for line in said) < SHOWN
        said.append(_date(session, asked, one, known.get(one.recurrence), offers=offers))
    _answer(session, asked, uid, first, said)
    return "answered"


def _cancelled(session: Session, asked: _Asked, uid: str, dates: Sequence[Occurrence], *, whole: bool) -> str:
    known = _known(session, asked, uid)
    if not known or not dates:
        return "unknown"
    first = max(dates, key=lambda one: one.sequence)
    named = {one.recurrence for one in dates}
    rows = [row for key, row in known.items() if (whole or key in named) and row.ends_at > asked.now]
    rows = [row for row in rows if itip.is_newer(_last(row), first.sequence, first.stamp)]
    if not rows:
        return "stale"
    # Nobody answers a cancellation, unless it could not be done.
    kept = [line for row in rows if (line := _give_up(session, asked, row, first)) is not None]
    if kept:
        _answer(session, asked, uid, first, kept)
    return "cancelled"


def _unread(session: Session, asked: _Asked, uid: str, dates: Sequence[Occurrence], code: str) -> str:
    """Decline a meeting that cannot be understood, or repeats without an end; nothing of it is booked."""
    if not dates:
        return "unreadable"
    first = dates[0]
    known = _known(session, asked, uid)
    if any(not itip.is_newer(_last(row), first.sequence, first.stamp) for row in known.values()):
        return "stale"
    reason = (
        Reason("meeting_unreadable")
        if code != "too_many_dates"
        else Reason("meeting_too_many", {"most": MOST_DATES})
    )
    _keep(session, asked, first, known.get(first.recurrence), None)
    line = _line(first, Answer.DECLINED, "refused", reasons=[reason])
    _answer(session, asked, uid, first, [line | {"recurrence": ""}])
    return "answered"


# --- one date ---------------------------------------------------------------------------------------


def _date(
    session: Session, asked: _Asked, one: Occurrence, row: Meeting | None, *, offers: bool
) -> dict[str, Any]:
    """Book or move one date, and give what is answered about it."""
    booking = _booking(session, asked, row)
    if one.status == "CANCELLED":
        done = _give_up(session, asked, row, one) if row is not None else None
        return done or _line(one, Answer.DECLINED, "cancelled")
    item = Item(asked.instrument.id, one.span, 1)
    try:
        with session.begin_nested():
            made = _book(session, asked, one, item, booking)
    except Refused as refused:
        _keep(session, asked, one, row, booking)
        instead = _instead(session, asked, item, refused, booking) if offers else []
        return _line(one, Answer.DECLINED, "refused", booking, refused.reasons, instead)
    except (Invalid, WrongMove, NotFound, Forbidden):
        _keep(session, asked, one, row, booking)
        return _line(one, Answer.DECLINED, "refused", booking, [Reason("meeting_unreadable")])
    _keep(session, asked, one, row, made)
    waits = made.state is State.REQUESTED
    return _line(one, Answer.TENTATIVE if waits else Answer.ACCEPTED, "waits" if waits else "booked", made)


def _book(session: Session, asked: _Asked, one: Occurrence, item: Item, booking: Booking | None) -> Booking:
    if booking is None or Action.CHANGE not in possible(booking.state):
        return bookings.place(session, actor=asked.actor, items=[item], purpose=one.summary, now=asked.now)
    items = [
        Item(each.instrument_id, one.span, each.quantity, each.process)
        if each.instrument_id == item.instrument_id
        else each
        for each in bookings.items_of(booking)
    ]
    return bookings.change(
        session, actor=asked.actor, booking_id=booking.id, version=None, items=items, now=asked.now
    )


def _give_up(session: Session, asked: _Asked, row: Meeting, by: Occurrence) -> dict[str, Any] | None:
    """Give a date's booking up; None if that is done, else what is answered since it cannot be done."""
    booking = _booking(session, asked, row)
    row.sequence, row.stamp = by.sequence, by.stamp
    if booking is None:
        return None
    try:
        with session.begin_nested():
            bookings.cancel(session, actor=asked.actor, booking_id=booking.id, now=asked.now)
    except Refused as refused:
        return _still(row, booking, refused.reasons)
    except (WrongMove, NotFound, Forbidden):
        return _still(row, booking, [Reason("meeting_unreadable")])
    row.told = booking.version
    return None


def _still(row: Meeting, booking: Booking, reasons: Sequence[Reason]) -> dict[str, Any]:
    return {
        "recurrence": row.recurrence,
        "start": row.starts_at.isoformat(),
        "end": row.ends_at.isoformat(),
        "answer": Answer.ACCEPTED.value,
        "why": "kept",
        "now": None,
        "all_day": False,
        "booking_id": str(booking.id),
        "reasons": _told(reasons),
        "instead": [],
    }


def _booking(session: Session, asked: _Asked, row: Meeting | None) -> Booking | None:
    """Give the living booking of a date, if it is still the person's."""
    if row is None or row.booking_id is None:
        return None
    try:
        found = bookings.get(session, actor=asked.actor, booking_id=row.booking_id, now=asked.now)
    except NotFound:
        return None
    return None if found.state in CALLED_OFF or found.person_id != asked.person.id else found


def _keep(
    session: Session, asked: _Asked, one: Occurrence, row: Meeting | None, booking: Booking | None
) -> None:
    """Keep what was asked last about a date, and of which version of its booking that is the answer."""
    if row is None:
        row = Meeting(
            person_id=asked.person.id,
            instrument_id=asked.instrument.id,
            uid=one.uid,
            recurrence=one.recurrence,
        )
        session.add(row)
    row.sequence, row.stamp, row.summary = one.sequence, one.stamp, one.summary
    row.organizer = one.organizer.raw if one.organizer else f"mailto:{asked.person.email}"
    row.attendee = asked.attendee
    row.starts_at, row.ends_at = one.span
    row.booking_id = booking.id if booking else None
    row.told = booking.version if booking else 0
    session.flush()


# --- what is answered -------------------------------------------------------------------------------


def _line(
    one: Occurrence,
    answer: Answer,
    why: str,
    booking: Booking | None = None,
    reasons: Sequence[Reason] = (),
    instead: Sequence[Alternative] = (),
) -> dict[str, Any]:
    """Give what is answered about a date, in a form that an event can keep."""
    return {
        "recurrence": one.recurrence,
        "start": one.span.start.isoformat(),
        "end": one.span.end.isoformat(),
        "all_day": one.all_day,
        "answer": answer.value,
        "why": why,
        "now": [booking.starts_at.isoformat(), booking.ends_at.isoformat()]
        if booking is not None and answer is Answer.DECLINED
        else None,
        "booking_id": str(booking.id) if booking else None,
        "reasons": _told(reasons),
        "instead": [
            {
                "instrument": found.code,
                "spans": [[span.start.isoformat(), span.end.isoformat()] for span in found.spans],
                "why": found.why,
            }
            for found in instead
        ],
    }


def _told(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    return [{"code": reason.code, "params": _plain(reason.params)} for reason in reasons]


def _plain(value: Any) -> Any:
    """Give figures as an event can keep them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _instead(
    session: Session, asked: _Asked, item: Item, refused: Refused, booking: Booking | None
) -> list[Alternative]:
    wish = refused.wish or alternatives.wish_of(
        asked.actor, [item], asked.now, booking_id=booking.id if booking else None
    )
    return alternatives.find(session, actor=asked.actor, wish=wish)[:SHOWN]


def _answer(
    session: Session, asked: _Asked, uid: str, first: Occurrence, said: Sequence[Mapping[str, Any]]
) -> None:
    """Record what is answered; it leaves by mail after the transaction."""
    lines = sorted(said, key=lambda line: str(line["start"]))
    events.record(
        session,
        actor=asked.actor,
        kind=invitations.ANSWERED,
        now=asked.now,
        facility_id=asked.instrument.facility_id,
        subject=f"instrument:{asked.instrument.id}",
        person_id=str(asked.person.id),
        instrument=asked.instrument.code,
        uid=uid,
        sequence=first.sequence,
        organizer=first.organizer.raw if first.organizer else f"mailto:{asked.person.email}",
        attendee=asked.attendee,
        summary=first.summary,
        dates=[dict(line) for line in lines],
    )
    session.flush()


# --- what is known ----------------------------------------------------------------------------------


def _known(session: Session, asked: _Asked, uid: str) -> dict[str, Meeting]:
    """Give what was asked before, by date; locked, so that of two messages at once the second sees the first."""
    query = (
        select(Meeting)
        .where(
            Meeting.person_id == asked.person.id,
            Meeting.instrument_id == asked.instrument.id,
            Meeting.uid == uid,
        )
        .with_for_update()
    )
    return {row.recurrence: row for row in session.scalars(query)}


def _last(row: Meeting | None) -> tuple[int, datetime | None] | None:
    return None if row is None else (row.sequence, row.stamp)


def of_booking(session: Session, *, booking_id: UUID) -> Meeting | None:
    """Give the meeting by which a booking was made, if it was."""
    query = select(Meeting).where(Meeting.booking_id == booking_id).options(joinedload(Meeting.instrument))
    return session.scalars(query).first()

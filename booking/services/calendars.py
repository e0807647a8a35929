"""Calendar addresses: secret ones, made, changed and revoked by their owners, and of what one may have one."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Subject, may, require
from booking.domain.rules import Invalid
from booking.services import events, networks
from booking.services.sign_in import hashed
from models import (
    Booking,
    BookingItem,
    CalendarLink,
    CalendarLinkInstrument,
    CalendarScope,
    Facility,
    Instrument,
    Network,
    Privacy,
    Project,
    ProjectMember,
)

MOST = 50
"""Nobody has more living addresses."""

MOST_TOGETHER = 50
"""No feed shows the free time of more instruments."""

LONGEST_NAME = 100

FARTHEST = 3660
"""Days; nobody may ask for more, whatever the operator of the server allows."""

LATELY = timedelta(days=365)
"""Whoever booked an instrument so long ago may want to see its free time."""

Thing = Instrument | Facility | Project | Network | tuple[Instrument, ...]
"""What a feed is about, if it is not about its owner."""


# --- addresses --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """A living address and the thing that it shows; None for one's own bookings and approvals."""

    link: CalendarLink
    subject: Thing | None


def make(
    session: Session,
    *,
    actor: Actor,
    scope: CalendarScope,
    subject: str = "",
    several: Sequence[str] = (),
    now: datetime,
    **choices: Any,
) -> tuple[CalendarLink, str]:
    """Make an address and give it with its secret, which is not kept.

    `subject` is the code of the instrument, facility or network or the project's id; what is about oneself has none.
    `several` are the codes of instruments whose free time is shown together. `choices` are those of `change`, and
    `locale` must be among them.

    :raises Invalid: if the subject does not go with the scope, or there are too many addresses already
    :raises NotFound: if there is no such subject for this actor
    :raises Forbidden: if the actor may not have a feed of it
    """
    require(actor, "calendar.make")
    if several and scope is not CalendarScope.FREE:
        raise Invalid({"ids": "unknown"})
    if bool(subject or several) is (scope in _OWN):
        raise Invalid({"id": "unknown" if subject else "required"})
    link = CalendarLink(scope=scope, created_at=now, person_id=actor.person_id)
    _choose(link, {"privacy": Privacy.SUMMARY, **choices})
    instruments: list[int] = []
    if scope is CalendarScope.FREE:
        instruments = [row.id for row in _instruments(session, actor, [subject, *several])]
        link.instrument_id = instruments[0] if len(instruments) == 1 else None
    elif scope is CalendarScope.INSTRUMENT:
        link.instrument_id = _instruments(session, actor, [subject])[0].id
    elif scope is CalendarScope.FACILITY:
        link.facility_id = _facility(session, actor, subject).id
    elif scope is CalendarScope.PROJECT:
        link.project_id = _project(session, actor, subject).id
    elif scope is CalendarScope.NETWORK:
        link.network_id = networks.by_code(session, code=subject).id  # what is open in it anybody may see
    return _issue(session, actor, link, instruments, now)


_OWN = {CalendarScope.ME, CalendarScope.APPROVALS}


def change(
    session: Session,
    *,
    actor: Actor,
    link_id: UUID,
    several: Sequence[str] | None = None,
    now: datetime,
    **choices: Any,
) -> CalendarLink:
    """Change what was chosen for one of the actor's own living addresses; those who read it need not know.

    `choices` are any of `privacy`, `locale`, `name`, `past_days` and `future_days` (None: as far as the server's
    operator lets it), `pending` and `cancelled`. `several` names other instruments of a feed of free time.

    :raises NotFound: if the actor has no such living address, or there is no such instrument for them
    :raises Invalid: if a choice makes no sense
    """
    link = living(session, actor=actor, link_id=link_id)
    _choose(link, choices)
    if several is not None:
        if link.scope is not CalendarScope.FREE or not several:
            raise Invalid({"ids": "required" if link.scope is CalendarScope.FREE else "unknown"})
        _show(session, link, [row.id for row in _instruments(session, actor, several)])
    _record(session, actor, "calendar.changed", link, now)
    session.flush()
    return link


def rotate(
    session: Session, *, actor: Actor, link_id: UUID, now: datetime
) -> tuple[CalendarLink, str, bytes]:
    """Replace the secret of one of the actor's own addresses; the old one is revoked.

    Gives the new address, its secret and the hash of the old one.

    :raises NotFound: if the actor has no such living address
    """
    old = living(session, actor=actor, link_id=link_id)
    old_hash = _revoke(session, actor, old, now)
    kept = {name: getattr(old, name) for name in (*_OF_THE_SAME, *_CHOICES)}
    link = CalendarLink(created_at=now, person_id=old.person_id, **kept)
    link, secret = _issue(session, actor, link, _shown_together(session, old.id), now)
    return link, secret, old_hash


_OF_THE_SAME = ("scope", "instrument_id", "facility_id", "project_id", "network_id")
_CHOICES = ("privacy", "locale", "name", "past_days", "future_days", "pending", "cancelled")


def revoke(session: Session, *, actor: Actor, link_id: UUID, now: datetime) -> bytes:
    """Make one of the actor's own addresses useless for good; doing it again changes nothing.

    The row stays, so that subscribers are told that it is gone. Gives the hash of its secret.

    :raises NotFound: if the actor has no such address
    """
    return _revoke(session, actor, _own(session, actor, link_id), now)


def listing(session: Session, *, actor: Actor) -> list[Listed]:
    """Give the actor's living addresses, the newest first."""
    require(actor, "calendar.make")
    rows = session.execute(
        select(CalendarLink, Instrument, Facility, Project, Network)
        .outerjoin(Instrument, Instrument.id == CalendarLink.instrument_id)
        .outerjoin(Facility, Facility.id == CalendarLink.facility_id)
        .outerjoin(Project, Project.id == CalendarLink.project_id)
        .outerjoin(Network, Network.id == CalendarLink.network_id)
        .where(CalendarLink.person_id == actor.person_id, CalendarLink.revoked_at.is_(None))
        .order_by(CalendarLink.created_at.desc(), CalendarLink.id)
    ).all()
    together = _together(session, [row[0].id for row in rows])
    found = []
    for link, instrument_, facility_, project_, network_ in rows:
        thing = instrument_ or facility_ or project_ or network_ or together.get(link.id)
        found.append(Listed(link, thing))
    return found


def one(session: Session, *, actor: Actor, link_id: UUID) -> Listed:
    """Give one of the actor's own living addresses.

    :raises NotFound: if the actor has no such living address
    """
    for listed in listing(session, actor=actor):
        if listed.link.id == link_id:
            return listed
    raise NotFound("calendar", link_id)


def living(session: Session, *, actor: Actor, link_id: UUID) -> CalendarLink:
    """Give one of the actor's own living addresses.

    :raises NotFound: if the actor has no such living address
    """
    link = _own(session, actor, link_id)
    if link.revoked_at is not None:
        raise NotFound("calendar", link_id)
    return link


def note_fetch(session: Session, *, link_id: UUID, agent: str, address: str, now: datetime) -> None:
    """Note who last asked, for the owner to see; never back in time."""
    session.execute(
        update(CalendarLink)
        .where(
            CalendarLink.id == link_id, or_(CalendarLink.fetched_at.is_(None), CalendarLink.fetched_at < now)
        )
        .values(fetched_at=now, agent=agent[:300], address=address[:64])
    )


def _choose(link: CalendarLink, choices: dict[str, Any]) -> None:
    errors = {name: "unknown" for name in choices if name not in _CHOICES}
    name = choices.get("name", "")
    if len(name) > LONGEST_NAME:
        errors["name"] = "too_long_text"
    elif not name.isprintable():
        errors["name"] = "control_characters"
    for field, least in (("past_days", 0), ("future_days", 1)):
        days = choices.get(field)
        if days is not None and not least <= days <= FARTHEST:
            errors[field] = "out_of_range"
    if errors:
        raise Invalid(errors)
    for field, value in choices.items():
        setattr(link, field, value.strip() if field == "name" else value)


def _issue(
    session: Session, actor: Actor, link: CalendarLink, instruments: Sequence[int], now: datetime
) -> tuple[CalendarLink, str]:
    held = select(func.count()).where(
        CalendarLink.person_id == actor.person_id, CalendarLink.revoked_at.is_(None)
    )
    if (session.scalar(held) or 0) >= MOST:
        raise Invalid({"scope": "too_many"}, most=MOST)
    secret = secrets.token_urlsafe(24)
    link.secret_hash = hashed(secret)
    session.add(link)
    session.flush()
    if len(instruments) > 1:
        _show(session, link, instruments)
    _record(session, actor, "calendar.made", link, now)
    return link, secret


def _show(session: Session, link: CalendarLink, instruments: Sequence[int]) -> None:
    """Let an address show the free time of these instruments, of one by its own column."""
    session.execute(delete(CalendarLinkInstrument).where(CalendarLinkInstrument.link_id == link.id))
    link.instrument_id = instruments[0] if len(instruments) == 1 else None
    if len(instruments) > 1:
        session.add_all(CalendarLinkInstrument(link_id=link.id, instrument_id=key) for key in instruments)
    session.flush()


def _shown_together(session: Session, link_id: UUID) -> list[int]:
    query = select(CalendarLinkInstrument.instrument_id).where(CalendarLinkInstrument.link_id == link_id)
    return list(session.scalars(query.order_by(CalendarLinkInstrument.instrument_id)))


def _together(session: Session, link_ids: Sequence[UUID]) -> dict[UUID, tuple[Instrument, ...]]:
    """Give the instruments of each address that shows several."""
    found: dict[UUID, tuple[Instrument, ...]] = {}
    query = (
        select(CalendarLinkInstrument.link_id, Instrument)
        .join(Instrument, Instrument.id == CalendarLinkInstrument.instrument_id)
        .where(CalendarLinkInstrument.link_id.in_(link_ids))
        .order_by(Instrument.code)
    )
    for link_id, row in session.execute(query):
        found[link_id] = (*found.get(link_id, ()), row)
    return found


def _revoke(session: Session, actor: Actor, link: CalendarLink, now: datetime) -> bytes:
    if link.revoked_at is None:
        link.revoked_at = now
        _record(session, actor, "calendar.revoked", link, now)
    return link.secret_hash


def _record(session: Session, actor: Actor, kind: str, link: CalendarLink, now: datetime) -> None:
    events.record(
        session, actor=actor, kind=kind, now=now, subject=f"calendar:{link.id}", scope=link.scope.value
    )


def _own(session: Session, actor: Actor, link_id: UUID) -> CalendarLink:
    require(actor, "calendar.make")
    link = session.get(CalendarLink, link_id)
    if link is None or link.person_id != actor.person_id:
        raise NotFound("calendar", link_id)
    return link


# --- of what there may be one -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """Of what the actor may make a feed, besides single instruments."""

    facilities: list[Facility]
    projects: list[Project]
    networks: list[Network]
    lately: list[Instrument]
    """What the actor booked lately, whose free time they may want to see."""


def subjects(session: Session, *, actor: Actor, now: datetime) -> Choice:
    """Give what the actor may choose from."""
    require(actor, "calendar.make")
    facilities = select(Facility).order_by(Facility.code)
    if not actor.administrator:
        facilities = facilities.where(Facility.id.in_(actor.operates | actor.manages))
    booked = (
        select(BookingItem.instrument_id)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .where(Booking.person_id == actor.person_id, Booking.starts_at > now - LATELY)
    )
    lately = select(Instrument).where(Instrument.id.in_(booked), Instrument.published)
    return Choice(
        list(session.scalars(facilities)),
        list(session.scalars(select(Project).where(_in_project(actor)).order_by(Project.code))),
        list(session.scalars(select(Network).order_by(Network.code))),
        list(session.scalars(lately.order_by(Instrument.code).limit(MOST_TOGETHER))),
    )


def thing_of(session: Session, *, actor: Actor, link: CalendarLink) -> Thing | None:
    """Give what an address is about, if its owner may still see it.

    :raises NotFound: if there is no such thing for this actor any more
    :raises Forbidden: if the actor may not have a feed of it any more
    """
    if link.instrument_id is not None:
        place = session.get(Instrument, link.instrument_id)
        return _seen(session, actor, place, link.instrument_id)
    if link.facility_id is not None:
        require(actor, "calendar.staff", Subject(facility_id=link.facility_id))
        return session.get_one(Facility, link.facility_id)
    if link.project_id is not None:
        return _project(session, actor, str(link.project_id))
    if link.network_id is not None:
        return session.get_one(Network, link.network_id)
    if link.scope is CalendarScope.FREE:
        rows = _together(session, [link.id]).get(link.id, ())
        seen = tuple(row for row in rows if row.published or _sees_hidden(session, actor, row))
        if not seen:
            raise NotFound("instrument")
        return seen
    return None


def _seen(session: Session, actor: Actor, row: Instrument | None, key: object) -> Instrument:
    if row is None or not (row.published or _sees_hidden(session, actor, row)):
        raise NotFound("instrument", key)
    return row


def _sees_hidden(session: Session, actor: Actor, row: Instrument) -> bool:
    within = networks.of_facilities(session, [row.facility_id])[row.facility_id]
    subject = Subject(facility_id=row.facility_id, network_ids=within)
    return may(actor, "instrument.see_unpublished", subject)


def _instruments(session: Session, actor: Actor, codes: Collection[str]) -> list[Instrument]:
    wanted = list(dict.fromkeys(code for code in codes if code))
    if len(wanted) > MOST_TOGETHER:
        raise Invalid({"ids": "too_many"}, most=MOST_TOGETHER)
    found = {row.code: row for row in session.scalars(select(Instrument).where(Instrument.code.in_(wanted)))}
    return [_seen(session, actor, found.get(code), code) for code in wanted]


def _facility(session: Session, actor: Actor, code: str) -> Facility:
    found = session.scalar(select(Facility).where(Facility.code == code))
    if found is None:
        raise NotFound("facility", code)
    require(actor, "calendar.staff", Subject(facility_id=found.id))
    return found


def _project(session: Session, actor: Actor, key: str) -> Project:
    try:
        wanted = UUID(key)
    except ValueError:
        raise NotFound("project", key) from None
    found = session.scalar(select(Project).where(Project.id == wanted, _in_project(actor)))
    if found is None:
        raise NotFound("project", key)
    return found


def named(session: Session, *, actor: Actor, codes: Sequence[str]) -> list[Instrument]:
    """Give those of the named instruments of which the actor may have a feed."""
    rows = session.scalars(select(Instrument).where(Instrument.code.in_(codes[:MOST_TOGETHER])))
    return [row for row in rows if row.published or _sees_hidden(session, actor, row)]


def _in_project(actor: Actor) -> ColumnElement[bool]:
    member = select(ProjectMember.project_id).where(ProjectMember.person_id == actor.person_id)
    return or_(
        Project.leader_id == actor.person_id,
        Project.organisation_id.in_(actor.leads),
        Project.id.in_(member),
    )

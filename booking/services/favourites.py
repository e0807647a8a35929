"""Favourites: instruments that somebody keeps at hand."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, require
from booking.domain.rules import Invalid
from booking.services import instruments
from models import Favourite, Instrument

ACTION = "favourite.keep"
MOST = 100


def add(session: Session, *, actor: Actor, code: str, now: datetime) -> Instrument:
    """Keep an instrument at hand; once is enough.

    :raises NotFound: if there is no such instrument for this actor
    :raises Invalid: if the actor keeps as many as anybody may
    """
    person_id = _person(actor)
    row = instruments.by_code(session, actor=actor, code=code)
    if session.get(Favourite, (person_id, row.id)) is None:
        kept = select(func.count()).select_from(Favourite).where(Favourite.person_id == person_id)
        if (session.scalar(kept) or 0) >= MOST:
            raise Invalid({"instrument": "too_many"})
        session.add(Favourite(person_id=person_id, instrument_id=row.id, added_at=now))
        session.flush()
    return row


def drop(session: Session, *, actor: Actor, code: str) -> Instrument:
    """Keep an instrument at hand no longer.

    :raises NotFound: if there is no such instrument for this actor
    """
    row = instruments.by_code(session, actor=actor, code=code)
    session.execute(
        delete(Favourite).where(Favourite.person_id == _person(actor), Favourite.instrument_id == row.id)
    )
    return row


def ids(session: Session, *, actor: Actor) -> list[int]:
    """Give the actor's favourites that they may see, the one kept last first."""
    if actor.person_id is None:
        return []
    query = (
        select(Favourite.instrument_id)
        .join(Instrument, Instrument.id == Favourite.instrument_id)
        .where(Favourite.person_id == actor.person_id, instruments.visible(actor))
        .order_by(Favourite.added_at.desc(), Favourite.instrument_id)
    )
    return list(session.scalars(query))


def listing(session: Session, *, actor: Actor) -> list[Instrument]:
    """Give the actor's favourites with all that a list shows, the one kept last first."""
    chosen = ids(session, actor=actor)
    rows = instruments.listed(session, actor=actor, instrument_ids=chosen)
    return [rows[place] for place in chosen if place in rows]


def _person(actor: Actor) -> UUID:
    require(actor, ACTION)
    if actor.person_id is None:
        raise Forbidden(ACTION, sign_in=True)
    return actor.person_id

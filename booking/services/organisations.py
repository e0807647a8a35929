"""Organisations: legal units that operate facilities or use them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound
from models import Organisation


def by_code(session: Session, *, code: str) -> Organisation:
    """Give an organisation.

    :raises NotFound: if there is none of this code
    """
    organisation = session.scalars(select(Organisation).where(Organisation.code == code)).one_or_none()
    if organisation is None:
        raise NotFound("organisation", code)
    return organisation


def region_of(organisation: Organisation) -> str:
    """Give the code of the region where an organisation is registered, empty if nobody knows.

    What was said of it counts; else the third to eighth character of its unified social credit code tell it.
    """
    return organisation.region_code or (organisation.uscc or "")[2:8]


def listing(session: Session) -> list[Organisation]:
    """Give all organisations by code."""
    return list(session.scalars(select(Organisation).order_by(Organisation.code)))


def of_actor(session: Session, *, actor: Actor) -> list[Organisation]:
    """Give the organisations that the actor belongs to, by code."""
    query = select(Organisation).where(Organisation.id.in_(actor.organisations | actor.leads))
    return list(session.scalars(query.order_by(Organisation.code)))

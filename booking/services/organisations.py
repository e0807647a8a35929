"""Organisations: legal units that operate facilities or use them."""

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, require
from booking.domain.rules import Invalid
from booking.services import events
from models import Organisation

REGION = re.compile(r"[1-9]\d{5}", re.ASCII)
"""A code of GB/T 2260."""


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


def register_in(
    session: Session, *, actor: Actor, code: str, region_code: str, now: datetime
) -> Organisation:
    """Say where an organisation is registered; with an empty code its unified social credit code tells it.

    :raises Forbidden: if the actor is no administrator
    :raises NotFound: if there is none of this code
    :raises Invalid: if it is no code of a region
    """
    require(actor, "organisation.keep")
    organisation = by_code(session, code=code)
    if region_code and not REGION.fullmatch(region_code):
        raise Invalid({"region": "malformed"})
    before, organisation.region_code = organisation.region_code, region_code
    if before != region_code:
        events.record(
            session,
            actor=actor,
            kind="organisation.changed",
            now=now,
            subject=code,
            changes={"region_code": [before, region_code]},
        )
    session.flush()
    return organisation


def listing(session: Session) -> list[Organisation]:
    """Give all organisations by code."""
    return list(session.scalars(select(Organisation).order_by(Organisation.code)))


def of_actor(session: Session, *, actor: Actor) -> list[Organisation]:
    """Give the organisations that the actor belongs to, by code."""
    query = select(Organisation).where(Organisation.id.in_(actor.organisations | actor.leads))
    return list(session.scalars(query.order_by(Organisation.code)))

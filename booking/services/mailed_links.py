"""Links that letters bear: whom one stands for, and what it is about."""

import hmac
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain import one_time
from booking.domain.access import Actor, NotFound
from booking.services import acting
from models import OneTimeLink, Purpose

TOLD = timedelta(days=7)
"""So long after its end a link still tells what became of what it was about."""


def follow(
    session: Session, *, purpose: Purpose, link_id: UUID, secret: str, now: datetime
) -> tuple[Actor, UUID]:
    """Give whom a link stands for and the id of what it is about; nothing is done by that.

    What is over is still told of for a while, so that nobody wonders.

    :raises NotFound: if there is no such link, or its person may not sign in
    """
    link = session.get(OneTimeLink, link_id)
    if link is None or not hmac.compare_digest(link.secret_hash, one_time.hashed(secret)):
        raise NotFound("link", link_id)
    if link.purpose is not purpose or link.expires_at + TOLD <= now:
        raise NotFound("link", link_id)
    person = acting.actor_of(session, link.person_id)
    if person is None:
        raise NotFound("link", link_id)
    return person, UUID(link.subject)

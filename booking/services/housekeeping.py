"""Housekeeping: what has served its purpose is dropped. Bookings, events and deliveries stay for ever."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from booking.services import holds, rate_limits, sign_in, solver_runs
from booking.services.bookings import KEY_LIFE
from models import CameFree, InboundMail, OneTimeLink, Reminder, RequestKey

KEPT = timedelta(days=30)
"""How long what is over can still be looked into."""

MAIL_KNOWN = timedelta(days=90)
"""How long a message that came in is known again."""


def prune(session: Session, *, now: datetime) -> None:
    """Drop keys of requests after a day; counters and holds that ran out; what else is long over."""
    session.execute(delete(RequestKey).where(RequestKey.created_at < now - KEY_LIFE))
    session.execute(delete(OneTimeLink).where(OneTimeLink.expires_at < now - KEPT))
    session.execute(delete(InboundMail).where(InboundMail.received_at < now - MAIL_KNOWN))
    session.execute(delete(Reminder).where(Reminder.done_at.is_not(None), Reminder.starts_at < now - KEPT))
    session.execute(delete(CameFree).where(CameFree.freed_at < now - KEPT))
    holds.prune(session, now=now)
    sign_in.prune(session, before=now - KEPT)
    rate_limits.prune(session, now=now)
    solver_runs.prune(session, before=now - KEPT)

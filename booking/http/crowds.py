"""Many who want the same at once: what one of them was told is worked out once for all who are at work."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from flask import Flask, current_app

from booking.db import Session, reading
from booking.domain.chemicals import Substance
from booking.domain.occupation import Item
from booking.domain.rules import Reason, Refused
from booking.http import admission
from booking.http.context import for_programs
from booking.http.identity import actor
from booking.services import alternatives, bookings, gone, waitlist
from booking.services.crowd import Crowd


def init(app: Flask) -> None:
    """Keep what crowds are told."""
    app.extensions["yiqi-crowd"] = Crowd()


def crowd() -> Crowd | None:
    """Give what others at work found out just now, None while so few are that nobody need share."""
    found: Crowd = current_app.extensions["yiqi-crowd"]
    return found if admission.crowded() else None


def refuse_what_is_gone(
    read: Callable[[Session], Sequence[Item]],
    *,
    key: str | None,
    fingerprint: str,
    needs: str = "",
    project_id: UUID | None,
    chemicals: Sequence[Substance],
    now: datetime,
) -> None:
    """Refuse a booking of a time that others of the crowd were just refused, before it waits for a lock.

    `read` gives its items. A key that made a booking before gives that one, as ever.

    :raises Refused: if the time is taken
    """
    found = crowd()
    if found is None:
        return
    who = actor()
    with reading() as session:
        if key and bookings.by_key(session, actor=who, key=key, fingerprint=fingerprint, now=now) is not None:
            return
        try:
            gone.refuse_what_is_gone(
                session,
                crowd=found,
                actor=who,
                items=read(session),
                project_id=project_id,
                chemicals=chemicals,
                now=now,
            )
        except Refused as refusal:
            if for_programs():  # told at once, of what was read already
                refusal.instead = (
                    *alternatives.find(session, actor=who, wish=refusal.wish, needs=needs, crowd=found),
                    *waitlist.way_out(session, reasons=refusal.reasons, items=refusal.items),
                )
            raise


def note_what_is_gone(
    session: Session, reasons: Iterable[Reason], items: Sequence[Item], now: datetime
) -> None:
    """Remember a time that was refused because it is taken, for the others of the crowd."""
    found = crowd()
    if found is not None and len(items) == 1 and any(reason.code == "taken" for reason in reasons):
        gone.note(session, crowd=found, item=items[0], now=now)

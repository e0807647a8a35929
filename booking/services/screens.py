"""Screens on walls: what every instrument is doing and what comes next, for everybody who passes, without names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from booking.domain.access import SYSTEM
from booking.domain.occupation import Kind
from booking.domain.spans import Span, merge
from booking.services import labels
from booking.services.labels import Seen, Status
from models import Instrument, Kiosk

MOST = 120
"""A screen for a whole facility shows no more instruments, on as many pages as it takes."""

NEXT, NEXT_ALONE = 2, 8
"""So many uses ahead are shown of each, and so many of an instrument that has the screen to itself."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a screen says of an instrument; `free` are its free units, `ahead` when it is used later."""

    instrument: Instrument
    status: Status
    until: datetime | None
    free: int
    ahead: Sequence[Span]


def show(session: Session, *, kiosk: Kiosk, now: datetime) -> list[Shown]:
    """Give what the instruments of a screen are doing, by code; the number of statements is fixed."""
    query = select(Instrument).where(Instrument.facility_id == kiosk.facility_id, Instrument.published)
    if kiosk.instrument_id is not None:
        query = query.where(Instrument.id == kiosk.instrument_id)
    query = query.options(joinedload(Instrument.facility)).order_by(Instrument.code).limit(MOST)
    rows = session.scalars(query).all()
    most = NEXT if kiosk.instrument_id is None else NEXT_ALONE
    return [_shown(seen, most, now) for seen in labels.at_once(session, actor=SYSTEM, rows=rows, now=now)]


def _shown(seen: Seen, most: int, now: datetime) -> Shown:
    taken = sum(bar.quantity for bar in seen.bars if bar.start <= now < bar.end)
    uses = [Span(bar.use_start, bar.use_end) for bar in seen.bars if bar.kind is Kind.BOOKING]
    later = [span for span in uses if span.start > now]
    # Neighbours are one stretch to who passes by: nobody can count the people behind them.
    ahead = merge(later)[:most]
    free = max(0, seen.instrument.units - taken)
    # Beyond the hours that were looked at nothing is known, and their edge moves with every look.
    until = None if seen.until is not None and seen.until >= now + labels.AHEAD else seen.until
    return Shown(seen.instrument, seen.status, until, free, ahead)

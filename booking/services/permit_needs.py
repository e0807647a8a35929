"""What permits instruments have: asked by the gates, and what cuts the time that is offered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from booking.domain import permits as domain
from booking.domain.hours import zone
from booking.domain.permits import Term
from booking.domain.rules import Reason
from booking.domain.spans import Span, intersect
from models import Facility, Instrument, InstrumentPermit, Part

if TYPE_CHECKING:
    from booking.services.gates import Wish


@dataclass(frozen=True, slots=True)
class Place:
    """An instrument that may only run with permits, and whose facility can renew them."""

    code: str
    zone: str
    facility: str
    facility_zh: str
    facility_en: str


Needs = Mapping[int, Mapping[Place, Sequence[Term]]]
"""The terms of an instrument and of the stations that a line is made of, by what is booked."""


def to_book(session: Session, wish: Wish) -> list[Reason]:
    """Refuse uses that are not wholly covered by every permit which the instrument has."""
    return _against(
        session, wish, {item.instrument_id: _uses(wish, item.instrument_id) for item in wish.items}
    )


def to_use(session: Session, wish: Wish) -> list[Reason]:
    """Turn away who comes when a permit is not valid at this moment."""
    moment = Span(wish.now, wish.now + timedelta(microseconds=1))
    return _against(session, wish, {item.instrument_id: [moment] for item in wish.items})


def _uses(wish: Wish, place: int) -> list[Span]:
    return [item.span for item in wish.items if item.instrument_id == place]


def _against(session: Session, wish: Wish, uses: Mapping[int, Sequence[Span]]) -> list[Reason]:
    places = frozenset(uses)
    needs = wish.once(("permits", places), lambda: of(session, places))
    found = {
        (place.code, lack.name): Reason("permit_over", _figures(place, lack))
        for booked, spans in uses.items()
        for place, terms in needs.get(booked, {}).items()
        for span in spans
        for lack in domain.lacks(terms, span, zone(place.zone))
    }
    return list(found.values())


def _figures(place: Place, lack: domain.Lack) -> dict[str, object]:
    return {
        "instrument": place.code,
        "permit": lack.name,
        "until": lack.until.isoformat() if lack.until else None,
        "since": lack.since.isoformat() if lack.since else None,
        "at": place.facility,
        "at_zh": place.facility_zh,
        "at_en": place.facility_en,
    }


def of(session: Session, instrument_ids: Iterable[int]) -> Needs:
    """Give the permits of instruments and, of lines, of their stations, for those that have any; one statement."""
    wanted = set(instrument_ids)
    if not wanted:
        return {}
    as_station = and_(Part.station_id == InstrumentPermit.instrument_id, Part.line_id.in_(wanted))
    query = (
        select(InstrumentPermit, Part.line_id, Instrument.code, Facility)
        .join(Instrument, Instrument.id == InstrumentPermit.instrument_id)
        .join(Facility, Facility.id == Instrument.facility_id)
        .outerjoin(Part, as_station)
        .where(or_(InstrumentPermit.instrument_id.in_(wanted), Part.line_id.is_not(None)))
        .order_by(Instrument.id, InstrumentPermit.name, InstrumentPermit.valid_from)
    )
    found: dict[int, dict[Place, dict[UUID, Term]]] = {}
    for row, line_id, code, at in session.execute(query):
        place = Place(code, at.zone, at.code, at.name_zh, at.name_en)
        for booked in {row.instrument_id, line_id} & wanted:
            found.setdefault(booked, {}).setdefault(place, {})[row.id] = term(row)
    return {
        booked: {place: list(terms.values()) for place, terms in places.items()}
        for booked, places in found.items()
    }


def only_valid(needs: Needs, instrument_id: int, opened: Sequence[Span]) -> Sequence[Span]:
    """Give what of open time the permits of an instrument leave."""
    left = opened
    for place, terms in needs.get(instrument_id, {}).items():
        if left:
            whole = Span(left[0].start, left[-1].end)
            left = intersect(left, domain.valid(terms, whole, zone(place.zone)))
    return left


def term(row: InstrumentPermit) -> Term:
    """Give the days of a row."""
    return Term(row.name, row.valid_from, row.valid_until)

"""What permits instruments have: asked by the gates, and what cuts the time that is offered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import BindParameter, and_, bindparam, or_, select
from sqlalchemy.orm import Session

from booking.domain import permits as domain
from booking.domain.hours import zone
from booking.domain.permits import Term
from booking.domain.rules import Reason
from booking.domain.spans import Span, intersect
from booking.services import kept
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


# Asked with every booking: made once, see services.sign_in.
_permit, _part = InstrumentPermit.__table__.c, Part.__table__.c
_instrument, _facility = Instrument.__table__.c, Facility.__table__.c
_WANTED: BindParameter[Any] = bindparam("wanted", expanding=True)
_PERMITS = (
    select(
        _permit.id,
        _permit.instrument_id,
        _permit.name,
        _permit.valid_from,
        _permit.valid_until,
        _part.line_id,
        _instrument.code,
        _facility.zone,
        _facility.code.label("facility"),
        _facility.name_zh,
        _facility.name_en,
    )
    .join_from(InstrumentPermit.__table__, Instrument.__table__, _instrument.id == _permit.instrument_id)
    .join(Facility.__table__, _facility.id == _instrument.facility_id)
    .outerjoin(Part.__table__, and_(_part.station_id == _permit.instrument_id, _part.line_id.in_(_WANTED)))
    .where(or_(_permit.instrument_id.in_(_WANTED), _part.line_id.is_not(None)))
    .order_by(_instrument.id, _permit.name, _permit.valid_from)
)

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
    known = kept.table(session, "permits")
    if known is None:
        return _read(session, wanted)
    missing = wanted - known.keys()
    if missing:
        known.update({place: {} for place in missing} | _read(session, missing))
    return {place: known[place] for place in wanted if known[place]}


def _read(session: Session, wanted: set[int]) -> dict[int, Mapping[Place, Sequence[Term]]]:
    if not wanted:
        return {}
    found: dict[int, dict[Place, dict[UUID, Term]]] = {}
    for row in session.execute(_PERMITS, {"wanted": list(wanted)}):
        place = Place(row.code, row.zone, row.facility, row.name_zh, row.name_en)
        for booked in {row.instrument_id, row.line_id} & wanted:
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


def term(row: Any) -> Term:
    """Give the days of a row."""
    return Term(row.name, row.valid_from, row.valid_until)

"""How far facilities are from one that somebody names, or from their own organisation's."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import distances
from booking.domain.access import Actor
from booking.domain.distances import Point
from booking.domain.rules import Invalid
from models import Facility

FARTHEST = 20_100
"""No two places are farther apart."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Kilometres by facility, where they are known, how many are near enough (None: any number), and from where."""

    km: Mapping[int, float]
    within: float | None = None
    here: Point | None = None

    @property
    def near(self) -> list[int]:
        """Give the facilities that are near enough, the nearest first."""
        found = sorted(self.km, key=lambda place: (self.km[place], place))
        return [place for place in found if self.within is None or self.km[place] <= self.within]


def point(facility: Facility) -> Point | None:
    """Give where a facility is, None if that is unknown."""
    if facility.latitude is None or facility.longitude is None:
        return None
    return facility.latitude, facility.longitude


def between(one: Facility, other: Facility) -> float | None:
    """Give how many kilometres two facilities are apart: none for the same one, None if it is unknown."""
    return 0.0 if one.id == other.id else distances.told(point(one), point(other))


def reach(session: Session, *, near: str, within_km: str = "") -> Reach | None:
    """Give how far every facility is from a place; None where nobody asks.

    The place is the code of a facility, `latitude,longitude`, or a town or the code of a region: the middle of its
    facilities. A facility whose place is unknown is near to itself alone.

    :raises Invalid: if there is no such place, or the kilometres are none
    """
    if not near:
        if within_km:
            raise Invalid({"near": "required"})
        return None
    within = _within(within_km)
    rows = session.scalars(select(Facility)).all()
    here = next((row for row in rows if row.code == near), None)
    if here is not None:
        km = {row.id: away for row in rows if (away := between(here, row)) is not None}
        return Reach(km, within, point(here))
    middle = _coordinates(near) or _middle(rows, near)
    if middle is None:
        raise Invalid({"near": "unknown"})
    km = {row.id: away for row in rows if (away := distances.told(middle, point(row))) is not None}
    return Reach(km, within, middle)


_COORDINATES = re.compile(r"(-?\d{1,2}(?:\.\d{1,6})?), ?(-?\d{1,3}(?:\.\d{1,6})?)", re.ASCII)


def _coordinates(text: str) -> Point | None:
    found = _COORDINATES.fullmatch(text.strip())
    if found is None:
        return None
    latitude, longitude = float(found[1]), float(found[2])
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def _middle(rows: Iterable[Facility], name: str) -> Point | None:
    """Give the middle of the facilities of a town or region of which it is known where they are."""
    points = [at for row in rows if name in {row.town, row.region_code} if (at := point(row))]
    if not points:
        return None
    return sum(at[0] for at in points) / len(points), sum(at[1] for at in points) / len(points)


def _within(text: str) -> float | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Invalid({"within_km": "malformed"})
    if len(text) > 5 or not 1 <= int(text) <= FARTHEST:
        raise Invalid({"within_km": "out_of_range"})
    return float(text)


def places(session: Session) -> list[Facility]:
    """Give the facilities of which it is known where they are, by code; no more than their own columns."""
    known = (Facility.latitude.is_not(None), Facility.longitude.is_not(None))
    return list(session.scalars(select(Facility).where(*known).order_by(Facility.code)))


def own(session: Session, *, actor: Actor) -> str:
    """Give the code of a facility of the actor's own organisations whose place is known, nothing if there is none."""
    if not actor.organisations:
        return ""
    query = select(Facility.code).where(
        Facility.organisation_id.in_(actor.organisations),
        Facility.latitude.is_not(None),
        Facility.longitude.is_not(None),
    )
    return session.scalars(query.order_by(Facility.code).limit(1)).first() or ""

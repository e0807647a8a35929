"""Histories: what was changed at a facility or on an instrument, by whom and when, from the events."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Event, Person

MOST = 200
_LOOKED_AT = 5000
"""So many events of a facility are looked through for those of one instrument."""

_OF_INSTRUMENTS = (
    "instrument.added",
    "instrument.changed",
    "prices.changed",
    "file.added",
    "file.changed",
    "file.removed",
    "files.sorted",
    "permit.added",
    "permit.ended",
    "permit.struck",
)
_OF_FACILITIES = (
    "facility.added",
    "facility.changed",
    "facility.withdrawn",
    "facility.reopened",
    "prices.raised",
    "instruments.imported",
)


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did: `changes` are fields with what stood there before and stands there since."""

    at: datetime
    kind: str
    who: str
    subject: str
    changes: tuple[tuple[str, Any, Any], ...]
    note: str = ""


def of_facility(session: Session, *, facility_id: int) -> list[Deed]:
    """Give what was changed at a facility and on its instruments, the newest first."""
    rows = _events(session, facility_id, (*_OF_FACILITIES, *_OF_INSTRUMENTS), MOST)
    names = _people(session, rows)
    return [_deed(row, names, _whole(row)) for row in rows]


def of_instrument(session: Session, *, facility_id: int, code: str) -> list[Deed]:
    """Give what was changed on an instrument, by files that were imported too, the newest first."""
    kinds = (*_OF_INSTRUMENTS, "prices.raised", "instruments.imported")
    rows = _events(session, facility_id, kinds, _LOOKED_AT)
    found = [(row, data) for row in rows if (data := _about(row, code)) is not None][:MOST]
    names = _people(session, [row for row, _ in found])
    return [_deed(row, names, data) for row, data in found]


def _events(session: Session, facility_id: int, kinds: Iterable[str], most: int) -> list[Event]:
    query = select(Event).where(
        Event.facility_id == facility_id, Event.booking_id.is_(None), Event.kind.in_(list(kinds))
    )
    return list(session.scalars(query.order_by(Event.id.desc()).limit(most)))


def _about(row: Event, code: str) -> Mapping[str, Any] | None:
    """Give what an event says of this instrument, None if it says nothing of it."""
    if row.kind == "instruments.imported":
        key = f"instrument {code}"
        if key in row.data.get("created", ()):
            return {"file": row.data.get("file", "")}
        changed = row.data.get("changed", {}).get(key)
        return None if changed is None else {"changes": changed, "file": row.data.get("file", "")}
    if row.kind == "prices.raised":
        mine = row.data.get("instruments", {}).get(code)
        return None if mine is None else {"changes": mine, "note": f"{row.data.get('percent')} %"}
    return row.data if row.subject == code else None


def _whole(row: Event) -> Mapping[str, Any]:
    if row.kind == "prices.raised":
        return {"note": f"{row.data.get('percent')} %"}
    return row.data


def _people(session: Session, rows: Iterable[Event]) -> dict[Any, str]:
    ids = {row.actor_id for row in rows if row.actor_id is not None}
    if not ids:
        return {}
    return {
        row.id: row.name for row in session.execute(select(Person.id, Person.name).where(Person.id.in_(ids)))
    }


def _deed(row: Event, names: Mapping[Any, str], data: Mapping[str, Any]) -> Deed:
    return Deed(
        row.at,
        row.kind,
        names.get(row.actor_id, ""),
        row.subject,
        tuple(_changes(data)),
        str(
            data.get("note")
            or data.get("file")
            or data.get("like")
            or data.get("title")
            or data.get("name")
            or ""
        ),
    )


def _changes(data: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name, pair in data.get("changes", {}).items():
        if isinstance(pair, list) and len(pair) == 2:
            yield name, pair[0], pair[1]
    hours = data.get("hours")
    if isinstance(hours, list) and len(hours) == 2:
        yield "hours", hours[0], hours[1]

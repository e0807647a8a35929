"""What takes the time of instruments, row by row as the ledger has it: for programs, which read many and reckon alone.

Times stay the text that the database has (`domain.moments` reads it); `availability.occupations` gives the same as
objects.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, String, Uuid, and_, bindparam, or_, select, type_coerce
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Subject, may
from booking.domain.spans import Span
from booking.services import facilities, instruments
from booking.services.availability import check_window
from models import Booking, Facility, Instrument, Occupation
from models.as_text import id_text, utc_text


class Taken(NamedTuple):
    """A row of the ledger as this reader may see it; behind the mask id, title and state are None."""

    code: str
    start: str
    end: str
    use_start: str
    use_end: str
    quantity: int
    kind: str
    booking_id: str | None
    title: str | None
    state: str | None
    mine: bool


_NOBODYS = (None, None, None)

_place, _taken, _booking = Instrument.__table__.c, Occupation.__table__.c, Booking.__table__.c
_ME: Any = bindparam("me", type_=Uuid())
_STANDS = and_(
    _taken.instrument_id == _place.id,
    _taken.starts_at < bindparam("until"),
    _taken.ends_at > bindparam("since"),
    or_(_taken.expires_at.is_(None), _taken.expires_at > bindparam("now")),
)
# There is a row of an instrument even where nothing takes its time, so that nobody need ask whether it is there; and
# SQLite begins with the instruments, where it would otherwise read the ledger from its very beginning.
_ROWS: Select[Any] = select(
    _place.id,
    _place.facility_id,
    _place.published,
    _taken.id.label("number"),
    _booking.organisation_id,
    (_booking.person_id == _ME).label("own"),
    (_booking.booked_by_id == _ME).label("agent"),
    (_taken.person_id == _ME).label("held"),
    _place.code,
    utc_text(_taken.starts_at).label("start"),
    utc_text(_taken.ends_at).label("end"),
    utc_text(_taken.use_starts_at).label("use_start"),
    utc_text(_taken.use_ends_at).label("use_end"),
    _taken.quantity,
    type_coerce(_taken.kind, String).label("kind"),
    id_text(_taken.booking_id).label("booking_id"),
    _booking.purpose,
    type_coerce(_booking.state, String).label("state"),
).select_from(
    Instrument.__table__.outerjoin(Occupation.__table__, _STANDS).outerjoin(
        Booking.__table__, _booking.id == _taken.booking_id
    )
)
_OF_INSTRUMENT = _ROWS.where(_place.code == bindparam("code"))
_facility = Facility.__table__.c
_OF_FACILITY = _ROWS.where(
    _place.facility_id == select(_facility.id).where(_facility.code == bindparam("code")).scalar_subquery()
)


def of_instrument(session: Session, *, actor: Actor, code: str, within: Span, now: datetime) -> list[Taken]:
    """Give what stands in the ledger for an instrument, by start, masked for the reader; one statement.

    :raises NotFound: if there is no such instrument for this actor
    :raises Invalid: if the window is inverted or too long
    """
    found = _seen(session, actor, _read(session, _OF_INSTRUMENT, actor, code, within, now))
    if not found:
        raise NotFound("instrument", code)
    return _masked(found, actor)


def of_facility(session: Session, *, actor: Actor, code: str, within: Span, now: datetime) -> list[Taken]:
    """Give what stands in the ledger for all instruments of a facility that the reader sees, by start, masked.

    One statement, however many there are.

    :raises NotFound: if there is no such facility
    :raises Invalid: if the window is inverted or too long
    """
    found = _read(session, _OF_FACILITY, actor, code, within, now)
    if not found:
        facilities.by_code(session, code=code)
    return _masked(_seen(session, actor, found), actor)


def _read(
    session: Session, query: Select[Any], actor: Actor, code: str, within: Span, now: datetime
) -> list[Any]:
    check_window(within)
    where = {"me": actor.person_id, "code": code, "since": within.start, "until": within.end, "now": now}
    return list(session.execute(query, where))


def _seen(session: Session, actor: Actor, rows: list[Any]) -> list[Any]:
    """Leave out what is not published, unless the reader sees it; of a visitor that need not be asked."""
    hidden = {row.id for row in rows if not row.published}
    if not hidden:
        return rows
    if actor.person_id is not None or actor.administrator:
        query = select(Instrument.id).where(Instrument.id.in_(hidden), instruments.visible(actor))
        hidden.difference_update(session.scalars(query))
    return [row for row in rows if row.id not in hidden]


def _masked(rows: Iterable[Any], actor: Actor) -> list[Taken]:
    """Tell who and why to those who may see the booking; that is asked once for each sort of owner."""
    known: dict[tuple[Any, ...], bool] = {}
    told = []
    entries = sorted((row for row in rows if row.number is not None), key=_by_start)
    for (
        _id,
        place,
        _shown,
        _number,
        organisation,
        own,
        agent,
        held,
        *plain,
        booking_id,
        title,
        state,
    ) in entries:
        whose = own, agent, organisation, place
        if whose not in known:
            known[whose] = may(actor, "booking.see", _subject(actor, own, agent, organisation, place))
        seen = (booking_id, title, state) if booking_id and known[whose] else _NOBODYS
        told.append(Taken._make((*plain, *seen, bool(own or held))))
    return told


def _by_start(row: Any) -> tuple[str, int]:
    return row.start, row.number


def _subject(
    actor: Actor, own: bool | None, agent: bool | None, organisation: int | None, place: int
) -> Subject:
    me = actor.person_id
    return Subject(me if own else None, organisation, place, agent_id=me if agent else None)

"""The ledger of time: lock, look, write. The only writer of the central table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking.domain.access import NotFound
from booking.domain.occupation import Item, Kind, padded
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Load, Span
from models import Booking, Closure, Instrument, Occupation, Part, guards


@dataclass(frozen=True, slots=True)
class Claim:
    """Units of one instrument over the whole span that they are taken, and the use inside it."""

    instrument_id: int
    span: Span
    use: Span
    quantity: int


def lock(session: Session, instrument_ids: Iterable[int]) -> dict[int, Instrument]:
    """Lock the instruments and all stations of their lines, in id order, and advance their revisions.

    The order keeps two commands from waiting for each other; the update (not SELECT FOR UPDATE) lets the
    second see what the first wrote under every isolation level.

    :raises NotFound: if an instrument does not exist
    """
    wanted = set(instrument_ids)
    wanted |= set(session.scalars(select(Part.station_id).where(Part.line_id.in_(wanted))))
    locked = {}
    for place in sorted(wanted):
        row = session.scalars(
            update(Instrument)
            .where(Instrument.id == place)
            .values(revision=Instrument.revision + 1)
            .returning(Instrument)
            .execution_options(populate_existing=True, synchronize_session=False)
        ).one_or_none()
        if row is None:
            raise NotFound("instrument", place)
        locked[place] = row
    return locked


def parts_of(session: Session, instrument_ids: Iterable[int]) -> dict[int, list[Part]]:
    """Give the stations of those instruments that are lines."""
    found: dict[int, list[Part]] = {}
    for part in session.scalars(
        select(Part).where(Part.line_id.in_(set(instrument_ids))).order_by(Part.line_id, Part.position)
    ):
        found.setdefault(part.line_id, []).append(part)
    return found


def claims(
    items: Iterable[Item], instruments: dict[int, Instrument], parts: dict[int, list[Part]]
) -> list[Claim]:
    """Give all that the items take: each instrument with its set-up and clean-up, and every station of a line.

    A station is taken for as long as its line, whole unless the line says how many units.
    """
    taken = []
    for item in items:
        instrument = instruments[item.instrument_id]
        around = padded(item.span, instrument.setup_minutes, instrument.cleanup_minutes)
        taken.append(Claim(item.instrument_id, around, item.span, item.quantity))
        for part in parts.get(item.instrument_id, ()):
            whole = instruments[part.station_id].units
            taken.append(Claim(part.station_id, around, item.span, part.units or whole))
    return taken


def loads(
    session: Session,
    instrument_ids: Iterable[int],
    within: Span,
    *,
    now: datetime,
    without: UUID | None = None,
) -> dict[int, tuple[Load, ...]]:
    """Give what is taken on each instrument in the span, holds that have run out and one booking left out."""
    ids = set(instrument_ids)
    query = select(Occupation.instrument_id, Occupation.starts_at, Occupation.ends_at, Occupation.quantity).where(
        Occupation.instrument_id.in_(ids),
        Occupation.starts_at < within.end,
        Occupation.ends_at > within.start,
        or_(Occupation.expires_at.is_(None), Occupation.expires_at > now),
    )
    if without is not None:
        query = query.where(or_(Occupation.booking_id.is_(None), Occupation.booking_id != without))
    found: dict[int, list[Load]] = {place: [] for place in ids}
    for place, start, end, quantity in session.execute(query):
        found[place].append(Load(start, end, quantity))
    return {place: tuple(rows) for place, rows in found.items()}


def take(
    session: Session, *, wanted: Sequence[Claim], instruments: dict[int, Instrument], booking: Booking, now: datetime
) -> None:
    """Write the rows of a booking; the instruments must be locked.

    :raises Refused: if the database's own guard says that they do not fit
    """
    _drop_expired(session, instruments, now)
    rows = [
        {
            "instrument_id": claim.instrument_id,
            "starts_at": claim.span.start,
            "ends_at": claim.span.end,
            "use_starts_at": claim.use.start,
            "use_ends_at": claim.use.end,
            "quantity": claim.quantity,
            "exclusive": instruments[claim.instrument_id].units == 1,
            "imposed": False,
            "kind": Kind.BOOKING,
            "booking_id": booking.id,
        }
        for claim in wanted
    ]
    _write(session, rows, wanted, instruments)


def close(
    session: Session, *, closure: Closure, instruments: dict[int, Instrument], kind: Kind, now: datetime
) -> None:
    """Take every unit of the locked instruments for a closure.

    :raises Refused: if a planned closure does not fit
    """
    _drop_expired(session, instruments, now)
    span = Span(closure.starts_at, closure.ends_at)
    wanted = [Claim(place, span, span, row.units) for place, row in sorted(instruments.items())]
    rows = [
        {
            "instrument_id": claim.instrument_id,
            "starts_at": span.start,
            "ends_at": span.end,
            "use_starts_at": span.start,
            "use_ends_at": span.end,
            "quantity": claim.quantity,
            "exclusive": instruments[claim.instrument_id].units == 1 and not closure.imposed,
            "imposed": closure.imposed,
            "kind": kind,
            "closure_id": closure.id,
        }
        for claim in wanted
    ]
    _write(session, rows, wanted, instruments)


def release(session: Session, *, booking_id: UUID) -> None:
    """Give back all the time of a booking; its instruments must be locked."""
    session.execute(delete(Occupation).where(Occupation.booking_id == booking_id))


def release_closure(session: Session, *, closure_id: UUID) -> None:
    """Give back all the time of a closure; its instruments must be locked."""
    session.execute(delete(Occupation).where(Occupation.closure_id == closure_id))


def end_early(session: Session, *, booking_id: UUID, at: datetime, instruments: dict[int, Instrument]) -> None:
    """Give back what a booking did not use after `at`; each instrument keeps its clean-up.

    The clean-up that follows belongs to the instrument that was booked; stations follow their line.
    """
    for row in session.scalars(select(Occupation).where(Occupation.booking_id == booking_id)):
        if row.use_starts_at < at < row.use_ends_at:
            after = row.ends_at - row.use_ends_at
            row.use_ends_at = at
            row.ends_at = at + after
    session.flush()


def refit(session: Session, *, instrument: Instrument) -> None:
    """Mark the claims of a locked instrument as its number of units now asks.

    A claim on the only unit is exclusive; once there are more units it no longer is.
    """
    session.execute(
        update(Occupation)
        .where(Occupation.instrument_id == instrument.id, Occupation.imposed.is_(False))
        .values(exclusive=instrument.units == 1)
    )


def release_expired(session: Session, *, now: datetime) -> int:
    """Delete the holds that have run out and give their number."""
    places = set(
        session.scalars(select(Occupation.instrument_id).where(Occupation.expires_at <= now).distinct())
    )
    if not places:
        return 0
    lock(session, places)
    gone = session.execute(delete(Occupation).where(Occupation.expires_at <= now))
    return int(getattr(gone, "rowcount", 0))


def _drop_expired(session: Session, instruments: dict[int, Instrument], now: datetime) -> None:
    session.execute(
        delete(Occupation).where(
            Occupation.instrument_id.in_(instruments), Occupation.kind == Kind.HOLD, Occupation.expires_at <= now
        )
    )


def _write(
    session: Session, rows: list[dict[str, object]], wanted: Sequence[Claim], instruments: dict[int, Instrument]
) -> None:
    session.flush()
    try:
        session.execute(insert(Occupation), rows)
    except IntegrityError as error:
        if guards.overbooked(error) is None:
            raise
        codes = {claim.instrument_id: instruments[claim.instrument_id].code for claim in wanted}
        raise Refused([Reason("taken", {"instrument": code}) for code in codes.values()]) from error



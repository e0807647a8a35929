"""Calendars kept elsewhere: subscribing to them, asking them, taking over their busy time, and whom that meets."""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session, aliased

from booking.domain import calendar_sources as rules
from booking.domain import hook_addresses
from booking.domain.access import SYSTEM, Actor, NotFound, Subject, require
from booking.domain.calendar_sources import Entry, Means, Reading, SourceState, window
from booking.domain.hook_addresses import NOTHING, Inside
from booking.domain.lifecycle import State
from booking.domain.replanning import Cause, ReplanState
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.domain.text import clean_line
from booking.services import bookings, events, occupation, replans
from models import (
    Booking,
    CalendarSource,
    CalendarSourceInstrument,
    Facility,
    Instrument,
    Occupation,
    OutsideEvent,
    Replan,
)

AHEAD = frozenset({State.REQUESTED, State.CONFIRMED})
"""Bookings that still mean to use their time."""

MOST = 50
"""A facility subscribes to so many calendars."""

CLAIM = timedelta(minutes=5)
"""So long nobody else asks a calendar that somebody has begun to ask."""

ANEW = timedelta(hours=6)
"""After this a calendar that has not changed is read again, since the year that is taken over has moved on."""

TELL_AFTER = timedelta(days=1)
"""A calendar that has not been understood for so long is told to the managers."""

MOST_SHOWN = 200
"""So many bookings and events are shown."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A subscription as it was thought of, in order."""

    facility: Facility
    name: str
    url: str
    means: Means
    instruments: tuple[Instrument, ...]
    transparent: bool
    floating_zone: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a calendar would do in its first days: events that count, when nothing can be had, whom that meets.

    `total` is how many events count in the whole year, `ignored` how many do not: cancelled, or marked as free.
    """

    within: Span
    entries: tuple[Entry, ...]
    closed: tuple[Span, ...]
    met: tuple[Booking, ...]
    total: int
    ignored: int
    problems: tuple[tuple[str, str], ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be asked, by what it is known, and how it is to be understood; `copy` is what was there before."""

    source_id: UUID
    url: str
    etag: str
    modified: str
    zone: str
    floating: str
    copy: bytes | None
    stale: bool


# --- managers ---------------------------------------------------------------------------------------------


def listing(session: Session, *, actor: Actor, facility_id: int) -> list[CalendarSource]:
    """Give the calendars to which a facility subscribes, by name.

    :raises Forbidden: if the actor does not manage it
    """
    require(actor, "calendar_source.keep", Subject(facility_id=facility_id))
    query = select(CalendarSource).where(
        CalendarSource.facility_id == facility_id, CalendarSource.removed_at.is_(None)
    )
    return list(session.scalars(query.order_by(CalendarSource.name, CalendarSource.id)))


def one(session: Session, *, actor: Actor, source_id: UUID) -> CalendarSource:
    """Give one calendar elsewhere.

    :raises NotFound: if there is none, or none of a facility that this actor manages
    """
    row = session.get(CalendarSource, source_id)
    if row is None or row.removed_at is not None:
        raise NotFound("calendar_source", source_id)
    require(actor, "calendar_source.keep", Subject(facility_id=row.facility_id))
    return row


def draft(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    name: str,
    url: str,
    means: Means,
    instruments: Collection[str] = (),
    transparent: bool = False,
    floating_zone: str = "",
    inside: Inside = NOTHING,
) -> Draft:
    """Look whether a subscription makes sense, and give it in order; without instruments it is for all of them.

    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: for each field that makes no sense
    """
    require(actor, "calendar_source.keep", Subject(facility_id=facility_id))
    errors: dict[str, str] = {}
    called = ""
    try:
        called = clean_line("name", name, longest=100, required=True)
    except Invalid as error:
        errors |= error.errors
    url = url.strip()
    try:
        hook_addresses.parsed_calendar(url, inside)
    except hook_addresses.BadAddress as error:
        errors["url"] = _wrong_address(url, error.code)
    if floating_zone and not _is_zone(floating_zone):
        errors["floating_zone"] = "unknown"
    query = select(Instrument).where(Instrument.facility_id == facility_id, Instrument.code.in_(instruments))
    rows = session.scalars(query.order_by(Instrument.code)).all() if instruments else []
    if set(instruments) - {row.code for row in rows}:
        errors["instruments"] = "unknown"
    if errors:
        raise Invalid(errors)
    return Draft(
        facility=session.get_one(Facility, facility_id),
        name=called,
        url=url,
        means=means,
        instruments=tuple(rows),
        transparent=transparent,
        floating_zone=floating_zone,
    )


def _wrong_address(url: str, code: str) -> str:
    if not url:
        return "required"
    return "not_a_calendar_address" if code == "not_https" else code


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # what there is none of, and what is a folder or no zone
        return False
    return True


def preview(session: Session, *, draft: Draft, reading: Reading, now: datetime) -> Preview:
    """Give what a calendar that was read would do in its first days, were it subscribed to."""
    within = Span(now, now + rules.PREVIEW)
    counting = rules.counting(reading.entries, window(now), transparent=draft.transparent)
    near = tuple(entry for entry in counting if entry.span.overlaps(within))
    spans = [span for span in rules.busy(counting, draft.means, window(now)) if span.overlaps(within)]
    places = [row.id for row in draft.instruments] or _all_of(session, draft.facility.id)
    return Preview(
        within=within,
        entries=near[:MOST_SHOWN],
        closed=tuple(spans),
        met=tuple(_met(session, places, within, spans)),
        total=len(counting),
        ignored=len({entry.key for entry in reading.entries}) - len(counting),
        problems=reading.problems,
        cut=reading.cut,
    )


def _met(session: Session, places: Collection[int], within: Span, spans: Sequence[Span]) -> list[Booking]:
    """Give the bookings whose time, set-up and clean-up included, meets any of the spans, by their start."""
    query = select(Occupation.booking_id, Occupation.starts_at, Occupation.ends_at).where(
        Occupation.instrument_id.in_(places),
        Occupation.booking_id.is_not(None),
        Occupation.starts_at < within.end,
        Occupation.ends_at > within.start,
    )
    ids = {
        booking_id
        for booking_id, start, end in session.execute(query)
        if booking_id is not None and any(span.overlaps(Span(start, end)) for span in spans)
    }
    met = [one for one in bookings.by_ids(session, ids=ids) if one.state in AHEAD]
    return sorted(met, key=lambda one: (one.starts_at, one.id))


def _all_of(session: Session, facility_id: int) -> list[int]:
    query = select(Instrument.id).where(Instrument.facility_id == facility_id)
    return list(session.scalars(query.order_by(Instrument.id)))


def add(session: Session, *, actor: Actor, draft: Draft, now: datetime) -> CalendarSource:
    """Subscribe; the calendar is asked as soon as the job comes by.

    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: if the facility has this address already, or too many
    """
    require(actor, "calendar_source.keep", Subject(facility_id=draft.facility.id))
    session.execute(select(Facility.id).where(Facility.id == draft.facility.id).with_for_update())
    known = listing(session, actor=actor, facility_id=draft.facility.id)
    if any(row.url == draft.url for row in known):
        raise Invalid({"url": "taken"})
    if len(known) >= MOST:
        raise Invalid({"url": "too_many"})
    row = CalendarSource(
        facility_id=draft.facility.id,
        name=draft.name,
        url=draft.url,
        means=draft.means,
        transparent=draft.transparent,
        floating_zone=draft.floating_zone,
        created_by=actor.person_id,
        created_at=now,
        next_at=now,
        failures=0,
        instruments=[CalendarSourceInstrument(instrument_id=place.id) for place in draft.instruments],
    )
    session.add(row)
    session.flush()
    # The address itself is as good as a password, and stands in no event.
    _record(session, actor, "calendar_source.added", row, now, means=row.means.value)
    return row


def differs(row: CalendarSource, draft: Draft) -> bool:
    """Tell whether a calendar would be understood otherwise, or block otherwise: then it must be read anew."""
    return (
        draft.url != row.url
        or draft.means is not row.means
        or draft.transparent != row.transparent
        or draft.floating_zone != row.floating_zone
        or {place.id for place in draft.instruments} != {place.instrument_id for place in row.instruments}
    )


def amend(
    session: Session,
    *,
    actor: Actor,
    source_id: UUID,
    draft: Draft,
    reading: Reading | None,
    now: datetime,
) -> CalendarSource:
    """Change a subscription; what it says is taken over at once as it was `read`, however much less it is.

    Places that are proposed because of what it said before are taken back.

    :raises NotFound: if there is none that this actor keeps
    :raises Invalid: if the facility has the new address already, or it was not read anew and must be
    """
    row = _locked(session, actor, source_id)
    others = listing(session, actor=actor, facility_id=row.facility_id)
    if any(other.url == draft.url for other in others if other.id != row.id):
        raise Invalid({"url": "taken"})
    changed = differs(row, draft)
    if changed and reading is None and row.paused_at is None:
        raise Invalid({"url": "required"})
    if changed:
        _take_back_proposals(session, actor, row, {place.id for place in draft.instruments}, now)
    row.name, row.means, row.transparent = draft.name, draft.means, draft.transparent
    row.floating_zone = draft.floating_zone
    if changed:
        row.url, row.copy, row.etag, row.modified = draft.url, None, "", ""
        row.read_at, row.next_at, row.accept_fewer = None, now, True
        wanted = {place.id for place in draft.instruments}
        row.instruments = [one for one in row.instruments if one.instrument_id in wanted]
        new = wanted - {one.instrument_id for one in row.instruments}
        row.instruments += [CalendarSourceInstrument(instrument_id=place) for place in sorted(new)]
    session.flush()
    _record(session, actor, "calendar_source.changed", row, now, means=row.means.value)
    if changed and reading is not None:
        take_over(session, source_id=row.id, reading=reading, data=None, answered=False, now=now)
    return row


def _take_back_proposals(
    session: Session, actor: Actor, row: CalendarSource, new: Collection[int], now: datetime
) -> None:
    """Take back the places that are proposed because of a calendar; all that it takes is locked in one order."""
    if row.replan_id is None:
        return
    blocked = {one.instrument_id for one in occupation.imposed(session, source_id=row.id, since=now)}
    wanted = new or _all_of(session, row.facility_id)
    replans.withdraw(session, actor=actor, replan_id=row.replan_id, places=blocked | set(wanted), now=now)
    row.replan_id = None


def refresh(
    session: Session, *, actor: Actor, source_id: UUID, accept_fewer: bool = False, now: datetime
) -> CalendarSource:
    """Have a calendar asked at once; with `accept_fewer` what it says counts though most of it is gone.

    :raises NotFound: if there is none that this actor keeps
    """
    row = _locked(session, actor, source_id)
    row.next_at = now
    if accept_fewer:
        row.accept_fewer = True
        row.etag = row.modified = ""
    session.flush()
    return row


def pause(session: Session, *, actor: Actor, source_id: UUID, now: datetime) -> CalendarSource:
    """Ask a calendar no more for now, and give back the time that it takes.

    :raises NotFound: if there is none that this actor keeps
    """
    row = _locked(session, actor, source_id)
    if row.paused_at is None:
        row.paused_at = now
        _give_back(session, actor, row, now)
        _record(session, actor, "calendar_source.paused", row, now)
    session.flush()
    return row


def resume(session: Session, *, actor: Actor, source_id: UUID, now: datetime) -> CalendarSource:
    """Ask a calendar again.

    :raises NotFound: if there is none that this actor keeps
    """
    row = _locked(session, actor, source_id)
    if row.paused_at is not None:
        row.paused_at, row.next_at, row.read_at, row.told = None, now, None, None
        _forget_failure(row)
        _record(session, actor, "calendar_source.resumed", row, now)
    session.flush()
    return row


def remove(session: Session, *, actor: Actor, source_id: UUID, now: datetime) -> None:
    """Subscribe no longer: the time ahead comes free, the address is forgotten.

    :raises NotFound: if there is none that this actor keeps
    """
    row = _locked(session, actor, source_id)
    _give_back(session, actor, row, now)
    session.execute(delete(OutsideEvent).where(OutsideEvent.source_id == row.id))
    row.removed_at, row.url, row.copy, row.etag, row.modified, row.told = now, "", None, "", "", None
    _record(session, actor, "calendar_source.removed", row, now)
    session.flush()


def _give_back(session: Session, actor: Actor, row: CalendarSource, now: datetime) -> None:
    """Give back what is still ahead, and with it the places proposed because of it; what has passed was so."""
    if row.replan_id is not None:
        blocked = {one.instrument_id for one in occupation.imposed(session, source_id=row.id, since=now)}
        replans.withdraw(session, actor=actor, replan_id=row.replan_id, places=blocked, now=now)
    _write(session, row, [], now)


def _locked(session: Session, actor: Actor, source_id: UUID) -> CalendarSource:
    one(session, actor=actor, source_id=source_id)
    row = _lock(session, source_id)
    if row is None or row.removed_at is not None:
        raise NotFound("calendar_source", source_id)
    return row


def _lock(session: Session, source_id: UUID) -> CalendarSource | None:
    return session.scalar(
        select(CalendarSource)
        .where(CalendarSource.id == source_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def state_of(row: CalendarSource) -> SourceState:
    """Tell how a calendar elsewhere does."""
    if row.paused_at is not None:
        return SourceState.PAUSED
    if row.failing_since is not None:
        return SourceState.FAILING
    return SourceState.WORKING if row.fetched_at is not None else SourceState.NEW


def ahead(session: Session, *, source_ids: Collection[UUID], now: datetime) -> dict[UUID, int]:
    """Give how many events of each calendar are still ahead or under way; one statement."""
    query = (
        select(OutsideEvent.source_id, func.count())
        .where(OutsideEvent.source_id.in_(source_ids), OutsideEvent.ends_at > now)
        .group_by(OutsideEvent.source_id)
    )
    return {row.source_id: row[1] for row in session.execute(query)} if source_ids else {}


def coming(session: Session, *, actor: Actor, source_id: UUID, now: datetime) -> list[OutsideEvent]:
    """Give the next events of a calendar elsewhere.

    :raises NotFound: if there is none that this actor keeps
    """
    row = one(session, actor=actor, source_id=source_id)
    query = select(OutsideEvent).where(OutsideEvent.source_id == row.id, OutsideEvent.ends_at > now)
    return list(session.scalars(query.order_by(OutsideEvent.starts_at, OutsideEvent.key).limit(MOST_SHOWN)))


# --- asking -----------------------------------------------------------------------------------------------


def due(session: Session, *, now: datetime) -> list[UUID]:
    """Give the calendars that are to be asked, the longest due first."""
    query = select(CalendarSource.id).where(
        CalendarSource.next_at <= now,
        CalendarSource.paused_at.is_(None),
        CalendarSource.removed_at.is_(None),
    )
    return list(session.scalars(query.order_by(CalendarSource.next_at, CalendarSource.id)))


def claim(session: Session, *, source_id: UUID, now: datetime) -> Errand | None:
    """Take on asking a calendar, so that nobody else does at the same time; None if it is not due any more."""
    row = _lock(session, source_id)
    if row is None or row.paused_at is not None or row.removed_at is not None or row.next_at > now:
        return None
    row.next_at = now + CLAIM
    zone = session.get_one(Facility, row.facility_id).zone
    packed = session.scalar(select(CalendarSource.copy).where(CalendarSource.id == source_id))
    known = packed is not None
    return Errand(
        source_id=row.id,
        url=row.url,
        etag=row.etag if known else "",
        modified=row.modified if known else "",
        zone=zone,
        floating=row.floating_zone,
        copy=zlib.decompress(packed) if packed is not None else None,
        stale=row.read_at is None or now - row.read_at >= ANEW or _misses_some(session, row, now),
    )


def _misses_some(session: Session, row: CalendarSource, now: datetime) -> bool:
    """Tell whether instruments have come to the facility that a calendar for all of them does not block yet."""
    if row.instruments:
        return False
    query = select(Occupation.instrument_id).where(Occupation.source_id == row.id, Occupation.ends_at > now)
    blocked = set(session.scalars(query.distinct()))
    return bool(blocked) and bool(set(_all_of(session, row.facility_id)) - blocked)


def unchanged(session: Session, *, source_id: UUID, now: datetime) -> None:
    """Note that a calendar is as it was."""
    row = _lock(session, source_id)
    if row is not None:
        _worked(row, now)


def fail(session: Session, *, source_id: UUID, code: str, figure: object = "", now: datetime) -> None:
    """Note that a calendar could not be fetched or understood; what it said before goes on counting.

    It is asked again the later, the more often that has happened. When it has lasted, the managers are told.
    """
    row = _lock(session, source_id)
    if row is None or row.removed_at is not None:
        return
    _failed(session, row, code, figure, now)


def _failed(session: Session, row: CalendarSource, code: str, figure: object, now: datetime) -> None:
    row.failures += 1
    row.failing_since = row.failing_since or now
    row.failure, row.figure = code, str(figure)[:40]
    row.next_at = now + rules.pause(row.failures, str(row.id))
    if row.failure_told_at is None and now - row.failing_since >= TELL_AFTER:
        row.failure_told_at = now
        _record(session, SYSTEM, "calendar_source.failing", row, now, failure=code, figure=row.figure)


def _worked(row: CalendarSource, now: datetime) -> None:
    row.fetched_at, row.next_at = now, now + rules.pause(0, str(row.id))
    _forget_failure(row)


def _forget_failure(row: CalendarSource) -> None:
    row.failures, row.failing_since, row.failure, row.figure = 0, None, "", ""
    row.failure_told_at = row.held_back = None
    row.accept_fewer = False


def take_over(
    session: Session,
    *,
    source_id: UUID,
    reading: Reading,
    data: bytes | None,
    etag: str = "",
    modified: str = "",
    answered: bool = True,
    now: datetime,
) -> None:
    """Write what a calendar says now into the ledger, and tell the managers of bookings that it newly meets.

    Without `data` it is the copy that was read anew; `answered` tells whether the server said that it still holds.
    Only what differs is written, whatever is booked. What holds much less than before is kept back until a manager
    says that it is meant so.
    """
    row = _lock(session, source_id)
    if row is None or row.paused_at is not None or row.removed_at is not None:
        return
    within = window(now)
    entries = rules.counting(reading.entries, within, transparent=row.transparent)
    left = sum(entry.span.end > now for entry in entries)
    if not row.accept_fewer and rules.shrunk(
        ahead(session, source_ids=[row.id], now=now).get(row.id, 0), left
    ):
        _failed(session, row, "fewer", left, now)
        row.held_back = left
        return
    if row.means is Means.ROSTER and not left:
        _failed(session, row, "empty_roster", "", now)
        return
    spans = rules.busy(entries, row.means, within)
    places = [one.instrument_id for one in row.instruments] or _all_of(session, row.facility_id)
    if len(spans) * len(places) > rules.MOST_ROWS:
        _failed(session, row, "too_much", len(spans), now)
        return
    _write(session, row, [(place, span) for place in places for span in spans], now)
    _keep_events(session, row, entries)
    if data is not None:
        row.copy, row.etag, row.modified = zlib.compress(data), etag, modified
    row.read_at, row.cut, row.problems = now, reading.cut, len(reading.problems)
    if answered:
        _worked(row, now)
    session.flush()
    _tell_clashes(session, row, now)


def _write(session: Session, row: CalendarSource, wanted: Iterable[tuple[int, Span]], now: datetime) -> None:
    """Make the ledger say what is wanted from now on; where nothing differs, nothing is locked or written."""
    standing = {
        _known_by(one.instrument_id, one.span, now): one
        for one in occupation.imposed(session, source_id=row.id, since=now)
    }
    meant = {_known_by(place, span, now): (place, span) for place, span in wanted if span.end > now}
    gone = [one for known, one in standing.items() if known not in meant]
    new = [one for known, one in meant.items() if known not in standing]
    places = {one.instrument_id for one in gone} | {place for place, _ in new}
    if not places:
        return
    locked = occupation.lock(session, places)
    # What has passed of one that is gone was so, unless what is new says that too.
    covered = {place for place, span in new if span.start <= now}
    new += [
        (one.instrument_id, Span(one.span.start, now))
        for one in gone
        if one.span.start < now and one.instrument_id not in covered
    ]
    occupation.impose(
        session,
        source_id=row.id,
        spans=new,
        instead_of=[one.id for one in gone],
        instruments=locked.instruments,
        now=now,
    )


def _known_by(place: int, span: Span, now: datetime) -> tuple[int, datetime | None, datetime]:
    """Give by what a span is told from others; when it began is no matter once it has."""
    return place, None if span.start <= now else span.start, span.end


def _keep_events(session: Session, row: CalendarSource, entries: Sequence[Entry]) -> None:
    """Keep what the events are called, for the managers."""
    kept = {
        one.key: one for one in session.scalars(select(OutsideEvent).where(OutsideEvent.source_id == row.id))
    }
    told = {entry.key: entry for entry in entries}
    for key in kept.keys() - told.keys():
        session.delete(kept[key])
    new = []
    for key, entry in told.items():
        values = {
            "starts_at": entry.span.start,
            "ends_at": entry.span.end,
            "all_day": entry.all_day,
            "title": entry.title[:300],
        }
        if key not in kept:
            new.append({"source_id": row.id, "key": key, **values})
            continue
        for name, value in values.items():
            if getattr(kept[key], name) != value:
                setattr(kept[key], name, value)
    session.flush()
    if new:
        session.execute(insert(OutsideEvent), new)


# --- whom it meets ----------------------------------------------------------------------------------------


def clashes(session: Session, *, source_ids: Collection[UUID], now: datetime) -> dict[UUID, list[Booking]]:
    """Give the bookings that stand in the busy time of each calendar, by their start; two statements."""
    if not source_ids:
        return {}
    busy, taken = aliased(Occupation), aliased(Occupation)
    query = (
        select(busy.source_id, taken.booking_id)
        .join(taken, taken.instrument_id == busy.instrument_id)
        .join(Booking, Booking.id == taken.booking_id)
        .where(
            busy.source_id.in_(source_ids),
            busy.ends_at > now,
            taken.ends_at > now,
            taken.starts_at < busy.ends_at,
            taken.ends_at > busy.starts_at,
            Booking.state.in_(AHEAD),
        )
        .distinct()
    )
    pairs = [(source_id, booking_id) for source_id, booking_id in session.execute(query)]
    ids = {booking_id for _, booking_id in pairs if booking_id is not None}
    known = {one.id: one for one in bookings.by_ids(session, ids=ids)}
    found: dict[UUID, list[Booking]] = {}
    for source_id, booking_id in pairs:
        if source_id is not None and booking_id is not None and booking_id in known:
            found.setdefault(source_id, []).append(known[booking_id])
    for some in found.values():
        some.sort(key=lambda one: (one.starts_at, one.id))
    return found


def _tell_clashes(session: Session, row: CalendarSource, now: datetime) -> None:
    """Tell the managers whom the calendar meets, once: a set of which they know is not told again, nor a part of it."""
    met = clashes(session, source_ids=[row.id], now=now).get(row.id, [])
    ids = sorted(str(one.id) for one in met)
    if set(ids) - set(row.told or ()):
        _record(session, SYSTEM, "calendar_source.clashes", row, now, bookings=len(ids))
    row.told = ids or None


def find_places(session: Session, *, actor: Actor, source_id: UUID, now: datetime) -> Replan:
    """Have other places looked for, for the bookings in the busy time of a calendar.

    While people are not asked yet, asking again looks anew.

    :raises NotFound: if there is none that this actor keeps
    :raises Refused: if there is nothing that can be put elsewhere, or people are being asked
    """
    row = _locked(session, actor, source_id)
    known = replan_of(session, row=row)
    if known is not None and known.state is ReplanState.SENT:
        raise Refused([Reason("replan_sent")])
    if known is not None:
        replans.withdraw(session, actor=actor, replan_id=known.id, now=now)
    met = clashes(session, source_ids=[row.id], now=now).get(row.id, [])
    if not met:
        raise Refused([Reason("nobody_met")])
    found = replans.begin_for(
        session,
        actor=actor,
        facility_id=row.facility_id,
        cause=Cause.ELSEWHERE,
        met=met,
        down=_down(session, row, met, now),
        now=now,
    )
    if found is None:
        raise Refused([Reason("nothing_displaced", {"by_hand": len(met)})])
    row.replan_id = found.id
    session.flush()
    return found


def replan_of(session: Session, *, row: CalendarSource) -> Replan | None:
    """Give the replan by which other places are looked for or proposed, None if there is none under way."""
    found = session.get(Replan, row.replan_id) if row.replan_id else None
    return found if found is not None and found.state is not ReplanState.OVER else None


def _down(
    session: Session, row: CalendarSource, met: Sequence[Booking], now: datetime
) -> Mapping[int, Sequence[Span]]:
    """Give when the instruments are not to be had, as far as that meets somebody; with a station its line is not."""
    rows = session.execute(
        select(
            Occupation.booking_id, Occupation.instrument_id, Occupation.starts_at, Occupation.ends_at
        ).where(Occupation.booking_id.in_([one.id for one in met]))
    ).all()
    items = {one.id: {item.instrument_id for item in one.items} for one in met}
    found: dict[int, set[Span]] = {}
    for busy in occupation.imposed(session, source_id=row.id, since=now):
        for booking_id, place, start, end in rows:
            if booking_id is None or place != busy.instrument_id or not busy.span.overlaps(Span(start, end)):
                continue
            for struck in {place} if place in items[booking_id] else items[booking_id]:
                found.setdefault(struck, set()).add(busy.span)
    return {place: sorted(spans) for place, spans in found.items()}


def _record(
    session: Session, actor: Actor, kind: str, row: CalendarSource, now: datetime, **data: Any
) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=row.facility_id,
        subject=str(row.id),
        name=row.name,
        **data,
    )

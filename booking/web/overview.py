"""The desk's overview: what waits, who is here, what is down, what comes, and how much of the open time was booked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from booking.db import Session
from booking.domain import hours
from booking.domain.access import Actor, Subject, could, may
from booking.domain.lifecycle import State
from booking.http.identity import actor
from booking.i18n import gettext as _
from booking.services import (
    approvals,
    attendance,
    bookings,
    closures,
    desks,
    overview,
    qualification_needs,
    qualifications,
    replans,
    rounds,
)
from booking.services.approvals import Asked
from booking.services.desks import Figures
from booking.services.overview import Why
from booking.web.approvals import roughly
from booking.web.bookings import deeds
from booking.web.forms import days_from, today_in
from models import Booking, Closure, Facility, Replan

RUNS = 200
"""Runs of a day that are listed."""

SHOWN = 6
"""Requests and closures that are shown before the rest is a link."""

IN_USE = (State.CONFIRMED, State.CHECKED_IN, State.ENDED)
WEEKS = (4, 12)


@dataclass(frozen=True)
class Run:
    """One of today's bookings, with what staff may do to it now."""

    booking: Booking
    may_do: set[str]
    late: bool
    over: bool
    """Still there after its end."""

    missable: bool
    """By now staff may say that nobody came."""


@dataclass(frozen=True)
class Request:
    """A request that waits for the reader, and for how long."""

    booking: Booking
    waits: timedelta
    soon: bool
    over: bool


@dataclass(frozen=True)
class Shut:
    """A closure that is or comes, with the bookings that stand in it and the search for other places, if any."""

    closure: Closure
    met: int
    plan: Replan | None


def facts(session: Session, facility: Facility, weeks: int, now: datetime) -> dict[str, Any]:
    """Give all that the template `desk/overview.html` tells; a constant number of statements."""
    who, here = actor(), {"actor": actor(), "facility_id": facility.id}
    zone = hours.zone(facility.zone)
    today = today_in(zone, now)
    runs, total_runs = bookings.listing(
        session,
        actor=who,
        facility_id=facility.id,
        within=days_from(today, 1, zone),
        states=IN_USE,
        page_size=RUNS,
    )
    shut = _shut(session, who, facility, now)
    missed, total_missed = overview.missed(session, **here, now=now)
    waiting = _waiting(session, who, facility, now)
    under_way = replans.under_way(session, **here)
    return {
        "may_decide": could(who, "booking.approve"),
        "requests": waiting[:SHOWN],
        "waiting": len(waiting),
        "runs": _runs(session, runs, now),
        "more_runs": max(0, total_runs - len(runs)),
        "lacking": qualification_needs.wanting(session, found=runs, now=now),
        "down": overview.down(session, **here, now=now),
        "faults": overview.unsettled_faults(session, **here),
        "missed": missed,
        "total_missed": total_missed,
        "shut": shut[:SHOWN],
        "more_shut": max(0, len(shut) - SHOWN),
        "meets": sum(one.met for one in shut if one.plan is None),
        "expiring": overview.expiring(session, **here, now=now),
        "asking": qualifications.waiting(session, facility_id=facility.id),
        "in_line": overview.in_line(session, **here),
        "under_way": under_way,
        "struck": {row.id: replans.place_of(row) for row, _done, _asked in under_way},
        "allotting": rounds.going_on(session, **here),
        "use": used(session, who, facility, weeks, now),
        "weeks": weeks,
        "all_weeks": WEEKS,
        "sets_targets": may(who, "target.keep", Subject(facility_id=facility.id)),
        "why_down": why_words(),
        "today": today,
    }


def used(session: Session, who: Actor, facility: Facility, weeks: int, now: datetime) -> Figures:
    """Give how the facility was used in so many weeks up to yesterday."""
    days = weeks * 7
    first = today_in(hours.zone(facility.zone), now) - timedelta(days=days)
    return desks.of_facility(session, actor=who, facility_id=facility.id, first=first, days=days, now=now)


def weeks_wanted(raw: str | None) -> int:
    """Read over how many weeks is asked; the fewest unless the address says otherwise."""
    return next((weeks for weeks in WEEKS if raw == str(weeks)), WEEKS[0])


def why_words() -> dict[str, str]:
    """Say why an instrument is not to be had."""
    return {
        Why.CLOSED.value: _("Closed"),
        Why.MAINTENANCE.value: _("Maintenance"),
        Why.BREAKDOWN.value: _("Breakdown"),
        Why.FAULT.value: _("Reported as stopping work"),
        Why.WITHDRAWN.value: _("Not bookable now"),
    }


def _waiting(session: Session, who: Actor, facility: Facility, now: datetime) -> list[Request]:
    """Give the requests at this facility that wait for the reader, those asked longest ago first."""
    found = [
        booking
        for booking in approvals.inbox(session, actor=who, now=now)
        if any(item.instrument.facility_id == facility.id for item in booking.items)
    ]
    asked: Mapping[UUID, Asked] = approvals.asked(session, actor=who, found=found, now=now)
    return [
        Request(
            one.booking,
            roughly(max(timedelta(0), now - one.asked_at)),
            soon=one.booking.starts_at - now < timedelta(days=1),
            over=one.booking.ends_at <= now,
        )
        for one in sorted((asked[booking.id] for booking in found), key=lambda one: one.asked_at)
    ]


def _runs(session: Session, rows: Sequence[Booking], now: datetime) -> list[Run]:
    """Give today's bookings: who is there and who should come first, who has gone last."""
    runs = [
        Run(
            booking,
            deeds(booking, now),
            late=booking.state is State.CONFIRMED and booking.starts_at < now < booking.ends_at,
            over=booking.state is State.CHECKED_IN and booking.ends_at <= now,
            missable=attendance.may_call_missed(session, actor=actor(), booking=booking, now=now),
        )
        for booking in rows
    ]
    return sorted(runs, key=lambda run: (run.booking.state is State.ENDED, run.booking.starts_at))


def _shut(session: Session, who: Actor, facility: Facility, now: datetime) -> list[Shut]:
    rows = closures.listing(session, actor=who, facility_id=facility.id, within=overview.ahead(now))
    ids = [row.id for row in rows]
    met = overview.met(session, actor=who, facility_id=facility.id, closure_ids=ids)
    plans = replans.of_closures(session, closure_ids=ids)
    return [Shut(row, met.get(row.id, 0), plans.get(row.id)) for row in rows]

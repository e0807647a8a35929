"""The desk of a facility: its instruments on one timeline, today's runs, what waits and what is closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from flask import render_template, request, url_for

from booking import plan_words
from booking.db import reading
from booking.domain import hours
from booking.domain.access import Subject, may
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import current_locale, name_of
from booking.i18n import gettext as _
from booking.services import (
    approvals,
    availability,
    bookings,
    catalogue,
    closures,
    facilities,
    instruments,
    qualification_needs,
    replans,
    rounds,
)
from booking.services.availability import Bar
from booking.services.catalogue import Filters
from booking.web import blueprint, timeline
from booking.web.bookings import deeds
from booking.web.closures import chosen_facility, kind_words
from booking.web.forms import as_date, days_from, fit, today_in
from models import Booking, Facility, Instrument

ROWS = 60
"""Instruments on a page of the timeline."""

RUNS = 200
"""Runs of a day that are listed."""

CLOSED_AHEAD = timedelta(days=14)
IN_USE = (State.CONFIRMED, State.CHECKED_IN, State.ENDED)


class View(StrEnum):
    """How much is shown."""

    DAY = "day"
    WEEK = "week"


class Form(StrEnum):
    """How it is shown."""

    TIMELINE = "timeline"
    LIST = "list"


@dataclass(frozen=True)
class Window:
    """What the address asks for: the facility's day or week, as timeline or list, and which instruments."""

    facility: Facility
    view: View
    form: Form
    first: date
    days: int
    words: str
    today: date

    def url(self, **changed: Any) -> str:
        """Give the address of this desk with something changed."""
        values: dict[str, Any] = {
            "facility": self.facility.code,
            "day": self.first.isoformat(),
            "view": self.view.value,
            "form": self.form.value,
            "q": self.words or None,
        }
        return url_for("web.desk", **(values | changed))

    @property
    def before(self) -> str:
        """Give the address of the day or week before."""
        return self.url(day=(self.first - timedelta(days=self.days)).isoformat())

    @property
    def after(self) -> str:
        """Give the address of the day or week after."""
        return self.url(day=(self.first + timedelta(days=self.days)).isoformat())


@dataclass(frozen=True)
class Run:
    """One of today's bookings, with what staff may do to it now."""

    booking: Booking
    may_do: set[str]
    late: bool


@blueprint.get("/desk", endpoint="desk")
@needs("facility.desk")
def show_desk() -> str:
    """Show the day or the week of a facility."""
    now = utc_now()
    page, _size = page_wanted()
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        facility = chosen_facility(staffed, request.args.get("facility"))
        window = _window(facility, now)
        zone = hours.zone(facility.zone)
        found = catalogue.search(
            session,
            actor=actor(),
            filters=Filters(q=window.words, facility=facility.code),
            page=page,
            page_size=ROWS,
            locale=current_locale(),
            facets=False,
        )
        places = [row.id for row in found.items]
        whole = days_from(window.first, window.days, zone)
        opened = availability.opening(session, instrument_ids=places, within=whole)
        bars = availability.occupations(session, actor=actor(), instrument_ids=places, within=whole, now=now)
        runs, more_runs = bookings.listing(
            session,
            actor=actor(),
            facility_id=facility.id,
            within=days_from(window.today, 1, zone),
            states=IN_USE,
            page_size=RUNS,
        )
        lacking = qualification_needs.wanting(session, found=runs, now=now)
        closed = closures.listing(
            session, actor=actor(), facility_id=facility.id, within=Span(now, now + CLOSED_AHEAD)
        )
        under_way = replans.under_way(session, actor=actor(), facility_id=facility.id)
        allotting = rounds.going_on(session, actor=actor(), facility_id=facility.id)
        struck = {row.id: replans.place_of(row) for row, _done, _asked in under_way}
        shut = {closure.instrument_id for closure in closed}.union(struck.values())
        names = instruments.codes_of(session, instrument_ids=shut - {None})
        names |= {row.id: name_of(row) for row in found.items}
        waiting = approvals.waiting(session, actor=actor()) if _approves() else None
    paper, rows = _drawn(window, found.items, opened, bars)
    return render_template(
        "desk/desk.html",
        window=window,
        staffed=staffed,
        facility=facility,
        zone=facility.zone,
        found=found,
        page=page,
        page_size=ROWS,
        page_url=page_url,
        paper=paper,
        rows=rows,
        now_line=_now_line(paper, now),
        listed=_listed(paper, found.items, bars) if window.form is Form.LIST else [],
        runs=_runs(runs, now),
        lacking=lacking,
        more_runs=max(0, more_runs - len(runs)),
        closed=closed,
        under_way=under_way,
        struck=struck,
        allotting=allotting,
        words_of=plan_words,
        names=names,
        kind_words=kind_words(),
        waiting=waiting,
        closes=may(actor(), "closure.make", Subject(facility_id=facility.id)),
        legend=_legend(),
        here=window.url(),
        now=now,
    )


def _window(facility: Facility, now: datetime) -> Window:
    today = today_in(hours.zone(facility.zone), now)
    day = as_date(request.args.get("day")) or today
    view = View.WEEK if request.args.get("view") == View.WEEK.value else View.DAY
    form = Form.LIST if request.args.get("form") == Form.LIST.value else Form.TIMELINE
    words = request.args.get("q", "").strip()[:100]
    first = day - timedelta(days=day.weekday()) if view is View.WEEK else day
    days = 7 if view is View.WEEK else 1
    return Window(facility, view, form, first, days, words if fit(words) else "", today)


def _approves() -> bool:
    who = actor()
    return who.administrator or bool(who.manages)


def _drawn(
    window: Window,
    places: Sequence[Instrument],
    opened: Mapping[int, Sequence[Span]],
    bars: Sequence[Bar],
) -> tuple[timeline.Paper, dict[int, timeline.Row]]:
    zone = hours.zone(window.facility.zone)
    taken = [Span(bar.start, bar.end) for bar in bars if bar.kind is Kind.BOOKING]
    paper = timeline.paper(
        window.first,
        window.days,
        zone,
        opened=[span for spans in opened.values() for span in spans],
        spans=taken,
    )
    of_place: dict[int, list[Bar]] = {place.id: [] for place in places}
    for bar in bars:
        of_place[bar.instrument_id].append(bar)
    rows = {
        place.id: timeline.row(paper, opened.get(place.id, ()), of_place[place.id], staff=True)
        for place in places
    }
    return paper, rows


def _now_line(paper: timeline.Paper, now: datetime) -> int | None:
    """Give where this moment is on the paper, None where it is not."""
    line = paper.line(now)
    wall = now.astimezone(paper.zone)
    on_paper = paper.first <= wall.date() < paper.first + timedelta(days=paper.days)
    return line if on_paper and paper.opens <= wall.hour < paper.closes else None


def _listed(
    paper: timeline.Paper, places: Sequence[Instrument], bars: Sequence[Bar]
) -> list[tuple[Instrument, timeline.Block]]:
    """Give all bars of the window in the order of time, for those who read lists."""
    known = {place.id: place for place in places}
    found = [(known[block.entry.instrument_id], block) for block in timeline.blocks(paper, bars, staff=True)]
    return sorted(found, key=lambda one: (one[1].entry.use_start, one[0].code))


def _runs(rows: Sequence[Booking], now: datetime) -> list[Run]:
    """Give today's bookings: who is there and who should come first, who has gone last."""
    runs = [
        Run(
            booking,
            deeds(booking, now),
            booking.state is State.CONFIRMED and booking.starts_at < now < booking.ends_at,
        )
        for booking in rows
    ]
    return sorted(runs, key=lambda run: (run.booking.state is State.ENDED, run.booking.starts_at))


def _legend() -> list[tuple[str, str]]:
    return [
        ("booked", _("Booked")),
        ("pending", _("Awaiting approval")),
        ("running", _("In use")),
        ("ended", _("Ended")),
        ("maintenance", _("Closed or under maintenance")),
        ("shut", _("Outside opening hours")),
    ]

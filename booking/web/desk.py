"""The desk of a facility: what goes on today, what waits and what is closed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from flask import render_template, request, url_for

from booking import plan_words
from booking.db import reading
from booking.domain import hours
from booking.domain.access import Subject, may
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import name_of
from booking.services import (
    availability,
    facilities,
    instruments,
)
from booking.services.availability import Bar
from booking.web import blueprint, charts, overview, timeline
from booking.web.closures import chosen_facility, kind_words
from booking.web.forms import days_from, today_in
from models import Facility, Instrument

ROWS = 8
"""Instruments on the strip of today; the timeline has them all."""


@blueprint.get("/desk", endpoint="desk")
@needs("facility.desk")
def show_desk() -> str:
    """Show what goes on at a facility today."""
    now = utc_now()
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        facility = chosen_facility(staffed, request.args.get("facility"))
        today = today_in(hours.zone(facility.zone), now)
        whole = days_from(today, 1, hours.zone(facility.zone))
        places = list(instruments.of_facility(session, actor=actor(), code=facility.code))
        bars = availability.occupations(session, actor=actor(), instrument_ids=places, within=whole, now=now)
        busy = list(dict.fromkeys(bar.instrument_id for bar in bars))[:ROWS]
        strip = instruments.by_ids(session, instrument_ids=busy)
        opened = availability.opening(session, instrument_ids=busy, within=whole)
        told = overview.facts(session, facility, overview.weeks_wanted(request.args.get("weeks")), now)
        shut = {one.closure.instrument_id for one in told["shut"]}.union(told["struck"].values())
        named = instruments.by_ids(session, instrument_ids=shut - {None})
        names = {key: name_of(row) for key, row in named.items()}
    paper, rows = _drawn(facility, today, [strip[place] for place in busy], opened, bars)
    return render_template(
        "desk/desk.html",
        staffed=staffed,
        facility=facility,
        zone=facility.zone,
        strip=[strip[place] for place in busy],
        paper=paper,
        rows=rows,
        now_line=_now_line(paper, now),
        words_of=plan_words,
        names=names,
        kind_words=kind_words(),
        closes=may(actor(), "closure.make", Subject(facility_id=facility.id)),
        here=url_for("web.desk", facility=facility.code),
        now=now,
        permits_of=permits_of,
        period_words=charts.period_words,
        **told,
    )


def permits_of(code: str) -> str:
    """Give the address at which an instrument's permits are kept."""
    return url_for("web.instrument_service", code=code) + "#permits"


def _drawn(
    facility: Facility,
    today: date,
    places: Sequence[Instrument],
    opened: Mapping[int, Sequence[Span]],
    bars: Sequence[Bar],
) -> tuple[timeline.Paper, dict[int, timeline.Row]]:
    of_place: dict[int, list[Bar]] = {place.id: [] for place in places}
    for bar in bars:
        if bar.instrument_id in of_place:
            of_place[bar.instrument_id].append(bar)
    paper = timeline.paper(
        today,
        1,
        hours.zone(facility.zone),
        opened=[span for spans in opened.values() for span in spans],
        spans=[
            Span(bar.start, bar.end)
            for found in of_place.values()
            for bar in found
            if bar.kind is Kind.BOOKING
        ],
    )
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

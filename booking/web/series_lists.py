"""Lists of series: my own, and those on the instruments of a facility for its staff."""

from flask import render_template, request

from booking.db import reading
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.services import facilities, series_lists
from booking.web import blueprint
from booking.web.closures import chosen_facility
from booking.web.repetition import rule_words
from models import Facility


@blueprint.get("/series", endpoint="my_series")
@needs("booking.list")
def show_my_series() -> str:
    """Show my series: those that go on, and those that are over."""
    over, now = _over(), utc_now()
    page, page_size = page_wanted(default=20, most=100)
    with reading() as session:
        found, total = series_lists.own(
            session, actor=actor(), over=over, page=page, page_size=page_size, now=now
        )
    return _shown(found, total, page, page_size, over=over)


@blueprint.get("/desk/series", endpoint="facility_series")
@needs("facility.desk")
def show_facility_series() -> str:
    """Show the series on the instruments of a facility."""
    over, now = _over(), utc_now()
    page, page_size = page_wanted(default=20, most=100)
    with reading() as session:
        facility = chosen_facility(facilities.managed(session, actor=actor()), request.args.get("facility"))
        found, total = series_lists.of_facility(
            session,
            actor=actor(),
            facility_id=facility.id,
            over=over,
            page=page,
            page_size=page_size,
            now=now,
        )
    return _shown(found, total, page, page_size, over=over, facility=facility)


def _over() -> bool:
    return request.args.get("show", "") == "over"


def _shown(
    found: list[series_lists.Summary],
    total: int,
    page: int,
    page_size: int,
    *,
    over: bool,
    facility: Facility | None = None,
) -> str:
    return render_template(
        "series/list.html",
        found=found,
        rules={one.series.id: rule_words(one.rule) for one in found},
        over=over,
        facility=facility,
        total=total,
        page=page,
        page_size=page_size,
        page_url=page_url,
    )

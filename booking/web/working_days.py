"""The table of working days: what each year holds, and writing announcements into it."""

from flask import render_template, request

from booking.db import reading, transaction
from booking.domain.working_days import DayKind, Unreadable, read
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import working_days
from booking.web import blueprint
from models import Booking

Answer = str | tuple[str, int]

FIRST, LAST = 2004, 2099


@blueprint.get("/working-days", endpoint="working_days")
@needs("working_day.edit")
def show_working_days() -> Answer:
    """Show the days of a year that differ from their weekday."""
    raw = request.args.get("year", "")
    year = int(raw) if raw.isascii() and raw.isdecimal() and FIRST <= int(raw) <= LAST else utc_now().year
    return _page(year)


@blueprint.post("/working-days", endpoint="announce_days")
@needs("working_day.edit")
def announce_days() -> Answer:
    """Write an announcement into the table, all of it or nothing, and show which bookings stand on days that turned."""
    typed = fields("table", "source")
    source = typed["source"].strip()[:100]
    try:
        days = read(typed["table"])
    except Unreadable as error:
        return _page(utc_now().year, typed=typed, problem=_problem(error)), 422
    with transaction() as session:
        turned, standing = working_days.announce(
            session, actor=actor(), days=days, source=source, now=utc_now()
        )
    return _page(min(one.day for one in days).year, turned=turned, standing=standing)


def _page(
    year: int,
    *,
    typed: dict[str, str] | None = None,
    problem: str = "",
    turned: int | None = None,
    standing: list[Booking] | None = None,
) -> str:
    with reading() as session:
        rows = working_days.listed(session, year)
    known = bool(rows)
    return render_template(
        "working_days/year.html",
        year=year,
        rows=rows,
        known=known,
        typed=typed or {"table": "", "source": ""},
        problem=problem,
        errors={"table": problem} if problem else {},
        turned=turned,
        standing=standing or [],
        kinds={
            DayKind.WORKING: _("Worked instead"),
            DayKind.REST: _("Day off"),
            DayKind.HOLIDAY: _("Public holiday"),
        },
    )


def _problem(error: Unreadable) -> str:
    said = {
        "not_a_date": _("“%(value)s” is not a date such as 2026-01-31.", value=error.value),
        "unknown": _("“%(value)s” is no kind of day.", value=error.value),
        "duplicate": _("%(value)s stands there twice.", value=error.value),
        "required": _("There is no day in it."),
        "too_many": _("There are too many lines."),
    }.get(error.code, _("This cannot be understood."))
    return _("Line %(line)s: %(problem)s", line=error.line, problem=said)

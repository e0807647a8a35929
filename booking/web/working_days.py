"""The table of working days: what each year holds, and writing announcements into it."""

from collections.abc import Sequence

from flask import render_template, request

from booking import wording
from booking.db import reading, transaction
from booking.domain import sheets
from booking.domain.sheets import CellError
from booking.domain.working_days import YEARS, BrokenSheet, DayKind, Unreadable, read, read_sheet, written
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import displacements, facilities, working_days
from booking.services.working_days import Outcome
from booking.web import blueprint
from models import Replan

Answer = str | tuple[str, int]

MOST_SHOWN = 100
"""So many errors of a sheet are shown."""


@blueprint.get("/working-days", endpoint="working_days")
@needs("working_day.edit")
def show_working_days() -> Answer:
    """Show the days of a year that differ from their weekday."""
    return _page(_year())


def _year() -> int:
    raw = request.args.get("year", "")
    known = len(raw) == 4 and raw.isascii() and raw.isdecimal() and int(raw) in YEARS
    return int(raw) if known else utc_now().year


@blueprint.post("/working-days", endpoint="announce_days")
@needs("working_day.edit")
def announce_days() -> Answer:
    """Write an announcement into the table, all of it or nothing, and show which bookings stand on days that turned.

    It is typed or comes as a file; a trial writes nothing.
    """
    typed = fields("table", "source", "try")
    sent = request.files.get("file")
    try:
        if sent is not None and sent.filename:
            typed["table"] = written(days := read_sheet(sent.read(), sent.filename))
        else:
            days = read(typed["table"])
    except Unreadable as error:
        return _page(_year(), typed=typed, problems={"table": _problem(error)}), 422
    except sheets.Unreadable as error:
        said = wording.cell_sentence(error.code, error.params)
        return _page(_year(), typed=typed, problems={"file": said}), 422
    except BrokenSheet as broken:
        said = {"file": _("Nothing was written.")}
        return _page(_year(), typed=typed, problems=said, cells=broken.errors), 422
    year = min(one.day for one in days).year
    if typed["try"]:
        with reading() as session:
            outcome = working_days.check(session, actor=actor(), days=days, now=utc_now())
        return _page(year, typed=typed, outcome=outcome, tried=True)
    with transaction() as session:
        source = typed["source"].strip()[:100]
        outcome, begun = displacements.announce(
            session, actor=actor(), days=days, source=source, now=utc_now()
        )
    return _page(year, outcome=outcome, begun=begun)


def _page(
    year: int,
    *,
    typed: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
    cells: Sequence[CellError] = (),
    outcome: Outcome | None = None,
    begun: Sequence[Replan] = (),
    tried: bool = False,
) -> str:
    with reading() as session:
        rows = working_days.listed(session, year)
        places = {one.id: one for one in facilities.managed(session, actor=actor())} if begun else {}
    known = bool(rows)
    return render_template(
        "working_days/year.html",
        year=year,
        rows=rows,
        known=known,
        typed=typed or {"table": "", "source": ""},
        problems=problems or {},
        errors=problems or {},
        cells=[
            (one.row, one.column, wording.cell_sentence(one.code, one.params)) for one in cells[:MOST_SHOWN]
        ],
        outcome=outcome,
        begun=[(row, places[row.facility_id]) for row in begun],
        tried=tried,
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

"""Working days: what each year holds, and the administrator's announcements."""

from collections.abc import Sequence
from typing import Any

from flask import request

from booking.api.base import Blueprint
from booking.api.schemas.working_days import AnnouncedOut, DaysIn, Kind, SheetIn, TriedIn, YearIn, YearOut
from booking.db import reading, transaction
from booking.domain import sheets
from booking.domain import working_days as days_of
from booking.domain.rules import Invalid
from booking.domain.working_days import Announced, BrokenSheet, DayKind
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import displacements, working_days

blp = Blueprint(
    "api-working-days", __name__, description="Public holidays, and weekends that are worked instead."
)

_SHEET = {
    "required": True,
    "description": "A CSV or XLSX file whose first row names the columns `day`, `kind` and `name`.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


@blp.get("/working-days")
@needs("rule.read")
@blp.arguments(YearIn, location="query")
@blp.response(200, YearOut)
def of_year(wanted: dict[str, Any]) -> dict[str, Any]:
    """List the days of a year

    Those that differ from their weekday, and holidays.
    """
    with reading() as session:
        found = working_days.listed(session, wanted["year"])
    return {"year": wanted["year"], "announced": bool(found), "items": found, "total": len(found)}


@blp.post("/working-days")
@needs("working_day.edit")
@blp.arguments(TriedIn, location="query")
@blp.arguments(DaysIn)
@blp.response(200, AnnouncedOut)
def announce(options: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Announce days

    For administrators; all of them or none.
    """
    days, errors = {}, {}
    for number, one in enumerate(wanted["days"]):
        if one["day"] in days:
            errors[f"days.{number}.day"] = "duplicate"
        kind = None if one["kind"] is Kind.ORDINARY else DayKind(one["kind"].value)
        days[one["day"]] = Announced(one["day"], kind, one["name"])
    if errors:
        raise Invalid(errors)
    return _announced(list(days.values()), options)


@blp.post("/working-days/sheet")
@needs("working_day.edit")
@blp.arguments(SheetIn, location="query")
@blp.response(200, AnnouncedOut)
@blp.doc(requestBody=_SHEET)
def sheet(options: dict[str, Any]) -> dict[str, Any]:
    """Announce days by a file

    For administrators; all of them or none, with an error for each cell that is wrong.
    """
    try:
        days = days_of.read_sheet(request.get_data(cache=False), options["name"])
    except sheets.Unreadable as error:
        raise Invalid({"file": error.code}) from None
    except BrokenSheet as broken:
        raise Invalid({f"rows.{one.row or 0}.{one.column}": one.code for one in broken.errors}) from None
    return _announced(days, options)


def _announced(days: Sequence[Announced], options: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {"actor": actor(), "days": days, "now": utc_now()}
    if options["dry_run"]:
        with reading() as session:
            outcome, begun = working_days.check(session, **given), []
    else:
        with transaction() as session:
            outcome, begun = displacements.announce(session, **given, source=options["source"])
    ids = [booking.id for booking in outcome.standing]
    return {
        "dry_run": options["dry_run"],
        "turned": outcome.turned,
        "booking_ids": ids,
        "replan_ids": [row.id for row in begun],
    }

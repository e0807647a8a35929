"""Week sheets: the plan of an instrument or of a facility to print and hang up, as a page and as PDF.

Names are left out unless whoever prints asks for them: everybody reads what hangs on a wall.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, render_template, request, url_for
from markupsafe import Markup

from booking import i18n, wording
from booking.db import Session, reading
from booking.domain.invitations import instrument_address
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.gateways import labels as drawing
from booking.gateways import week_sheets as paper
from booking.gateways.labels import Label
from booking.gateways.week_sheets import Entry, Row, Shade, Sheet
from booking.http.context import public_url_for, settings
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import availability, catalogue, facilities, instruments
from booking.services.availability import Bar, FreeSpan
from booking.services.catalogue import Filters
from booking.web import blueprint
from booking.web.forms import days_from, today_in
from booking.web.week import monday_of
from models import Facility, Instrument

_WEEK = re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True)
class Asked:
    """Which week is asked for, and whether with names."""

    monday: date
    names: bool

    def url(self, endpoint: str, code: str, **changed: Any) -> str:
        """Give the address of a sheet with something changed."""
        monday = changed.get("monday", self.monday)
        named = changed.get("names", self.names)
        return url_for(endpoint, code=code, week=_week_of(monday), names="1" if named else None)


@blueprint.get("/instruments/<code>/week", endpoint="week_sheet")
@needs("catalogue.read")
def instrument_sheet(code: str) -> str:
    """Show the week of an instrument to print."""
    with reading() as session:
        sheet, asked, row = _of_instrument(session, code, utc_now())
    return _page(sheet, asked, "web.week_sheet", "web.week_sheet_file", row.code, name_of(row))


@blueprint.get("/instruments/<code>/week.pdf", endpoint="week_sheet_file")
@needs("catalogue.read")
def instrument_file(code: str) -> Response:
    """Give the week of an instrument as PDF."""
    with reading() as session:
        sheet, asked, _row = _of_instrument(session, code, utc_now())
    return _file(sheet, f"{code}-{_week_of(asked.monday)}.pdf")


@blueprint.get("/facilities/<code>/week", endpoint="facility_sheet")
@needs("catalogue.read")
def facility_sheet(code: str) -> str:
    """Show the week of a facility to print."""
    with reading() as session:
        sheet, asked, row = _of_facility(session, code, utc_now())
    return _page(sheet, asked, "web.facility_sheet", "web.facility_sheet_file", row.code, name_of(row))


@blueprint.get("/facilities/<code>/week.pdf", endpoint="facility_sheet_file")
@needs("catalogue.read")
def facility_file(code: str) -> Response:
    """Give the week of a facility as PDF."""
    with reading() as session:
        sheet, asked, _row = _of_facility(session, code, utc_now())
    return _file(sheet, f"{code}-{_week_of(asked.monday)}.pdf")


def _page(sheet: Sheet, asked: Asked, endpoint: str, file: str, code: str, name: str) -> str:
    week = timedelta(days=7)
    back = "web.instrument" if endpoint == "web.week_sheet" else "web.facility"
    return render_template(
        "catalogue/week_sheet.html",
        sheet=sheet,
        crumb=(url_for(back, code=code), name),
        names=asked.names,
        before=asked.url(endpoint, code, monday=asked.monday - week),
        after=asked.url(endpoint, code, monday=asked.monday + week),
        other=asked.url(endpoint, code, names=not asked.names),
        file=asked.url(file, code),
        drawn=Markup(drawing.svg(Label(sheet.address, code)).decode()),  # noqa: S704 - all escaped
        signed_in=actor().person_id is not None,
    )


def _file(sheet: Sheet, name: str) -> Response:
    response = Response(paper.draw(sheet), mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


# --- what stands on it ----------------------------------------------------------------------------


def _asked(facility: Facility, now: datetime) -> Asked:
    found = _WEEK.fullmatch(request.args.get("week", ""))
    today = today_in(ZoneInfo(facility.zone), now)
    names = request.args.get("names") == "1" and actor().person_id is not None
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else monday_of(today)
    except ValueError:
        monday = monday_of(today)
    return Asked(monday if abs(monday - today).days < 5 * 366 else monday_of(today), names)


def _week_of(monday: date) -> str:
    year, week, _day = monday.isocalendar()
    return f"{year}-W{week:02}"


def _of_instrument(session: Session, code: str, now: datetime) -> tuple[Sheet, Asked, Instrument]:
    row = instruments.by_code(session, actor=actor(), code=code)
    asked = _asked(row.facility, now)
    zone = ZoneInfo(row.facility.zone)
    free = (
        availability.free(
            session, actor=actor(), code=row.code, within=days_from(asked.monday, 7, zone), now=now
        )
        if row.bookable
        else []
    )
    sheet = Sheet(
        title=f"{name_of(row)} · {row.code}",
        place=" · ".join(filter(None, [name_of(row.facility), row.location])),
        week=_title(asked),
        heads=_heads(asked),
        rows=_rows(session, [row], {row.id: free}, asked, zone, now),
        address=public_url_for("web.instrument", code=row.code),
        notes=[*_notes(row.facility, now), *_invited_at(row)],
    )
    return sheet, asked, row


def _of_facility(session: Session, code: str, now: datetime) -> tuple[Sheet, Asked, Facility]:
    row = facilities.by_code(session, code=code)
    asked = _asked(row, now)
    sheet = Sheet(
        title=name_of(row),
        place=row.address or "",
        week=_title(asked),
        heads=_heads(asked),
        rows=_rows(session, _all_of(session, row), {}, asked, ZoneInfo(row.zone), now),
        address=public_url_for("web.facility", code=row.code),
        notes=_notes(row, now),
    )
    return sheet, asked, row


def _all_of(session: Session, facility: Facility) -> list[Instrument]:
    rows: list[Instrument] = []
    while True:
        found = catalogue.search(
            session,
            actor=actor(),
            filters=Filters(facility=facility.code),
            page=len(rows) // catalogue.MOST_PER_PAGE + 1,
            page_size=catalogue.MOST_PER_PAGE,
            locale=i18n.current_locale(),
            facets=False,
        )
        rows += found.items
        if len(rows) >= found.total or not found.items:
            return rows


def _title(asked: Asked) -> str:
    last = asked.monday + timedelta(days=6)
    return _(
        "Week %(week)s, %(first)s – %(last)s",
        week=asked.monday.isocalendar().week,
        first=i18n.format_date(asked.monday),
        last=i18n.format_date(last),
    )


def _heads(asked: Asked) -> list[str]:
    return [i18n.format_date(asked.monday + timedelta(days=n), "UTC", "day") for n in range(7)]


def _notes(facility: Facility, now: datetime) -> list[str]:
    zone = facility.zone.replace("_", " ")
    at = i18n.format_datetime(now, facility.zone)
    return [_("Printed at %(at)s. All times stand on the facility's clock: %(zone)s.", at=at, zone=zone)]


def _invited_at(row: Instrument) -> list[str]:
    """Say by which address it is invited, without the secret of whoever prints the sheet."""
    known = settings()
    if not known.mail_domain or not row.bookable:
        return []
    if not known.mail_trusted:
        return [_("It can be invited from your calendar: its page shows you the address.")]
    address = instrument_address(row.code, known.mail_domain)
    return [_("Invite it from your calendar: %(address)s", address=address)]


def _rows(
    session: Session,
    rows: Sequence[Instrument],
    free: dict[int, list[FreeSpan]],
    asked: Asked,
    zone: ZoneInfo,
    now: datetime,
) -> list[Row]:
    whole = days_from(asked.monday, 7, zone)
    places = [row.id for row in rows]
    bars: dict[int, list[Bar]] = {}
    for bar in availability.occupations(session, actor=actor(), instrument_ids=places, within=whole, now=now):
        bars.setdefault(bar.instrument_id, []).append(bar)
    opened = availability.opening(session, instrument_ids=places, within=whole)
    days = [days_from(asked.monday + timedelta(days=n), 1, zone) for n in range(7)]
    return [
        Row(
            name_of(row),
            row.code,
            [
                _day(bars.get(row.id, ()), free.get(row.id, ()), opened[row.id], day, row.units, asked, zone)
                for day in days
            ],
        )
        for row in rows
    ]


def _day(
    bars: Iterable[Bar],
    free: Iterable[FreeSpan],
    opened: Iterable[Span],
    day: Span,
    units: int,
    asked: Asked,
    zone: ZoneInfo,
) -> list[Entry]:
    found: list[tuple[datetime, Entry]] = []
    for bar in bars:
        part = _part(Span(bar.use_start, bar.use_end), day)
        if part is not None:
            found.append((part.start, _entry(bar, part, units, asked, zone)))
    for one in free:
        part = _part(Span(one.start, one.end), day)
        if part is not None:
            words = _("%(free)s of %(units)s free", free=one.free, units=units) if units > 1 else _("Free")
            found.append((part.start, Entry(_times(part, zone), words, Shade.FREE)))
    if not found and not any(span.overlaps(day) for span in opened):
        return [Entry("", _("Not open"), Shade.CLOSED)]
    return [entry for _start, entry in sorted(found, key=lambda one: one[0])]


def _part(span: Span, day: Span) -> Span | None:
    start, end = max(span.start, day.start), min(span.end, day.end)
    return Span(start, end) if start < end else None


def _entry(bar: Bar, part: Span, units: int, asked: Asked, zone: ZoneInfo) -> Entry:
    if bar.kind is not Kind.BOOKING:
        words = wording.kind_name(bar.kind)
    elif asked.names and bar.booking_id is not None:
        words = " · ".join(filter(None, [bar.person, bar.title])) or _("Taken")
    else:
        words = _("Asked for") if bar.state is State.REQUESTED else _("Taken")
    if units > 1 and bar.kind is Kind.BOOKING:
        words = f"{bar.quantity}/{units} {words}"
    shade = Shade.TAKEN if bar.kind in (Kind.BOOKING, Kind.HOLD) else Shade.CLOSED
    return Entry(_times(part, zone), words, shade)


def _times(span: Span, zone: ZoneInfo) -> str:
    start, end = i18n.format_time(span.start, zone.key), i18n.format_time(span.end, zone.key)
    return f"{start}–{'24:00' if end == '00:00' else end}"

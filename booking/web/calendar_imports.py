"""Files of calendars: what becomes of each event is shown first, and then taken over as it was shown."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.calendar_sources import Reading, window
from booking.domain.foreign_calendars import BadCalendar
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.gateways import calendar_reader
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of, ngettext
from booking.services import calendar_imports, instruments
from booking.services.calendar_imports import Became, Changed, Plan
from booking.web import blueprint
from booking.web.calendar_sources import managed
from booking.web.closures import chosen_facility
from booking.web.forms import as_code
from booking.web.judgement import sentences
from models import Facility, Instrument

Answer = str | Redirect | tuple[str, int]

FIELDS = ("facility", "instrument", "closing", "name", "packed", "seen", "take")

MOST_PACKED = 600_000
"""Letters of a file between its preview and its taking over; larger ones come by the command."""

LONGEST_NAME = 200


@blueprint.get("/calendar-import", endpoint="calendar_import")
@needs("calendar_source.keep")
def show_import() -> Answer:
    """Show the form that takes a file."""
    with reading() as session:
        facility, places = _place(session, request.args.get("facility", ""))
    return _page(facility, places, dict.fromkeys(FIELDS, "") | {"facility": facility.code})


@blueprint.post("/calendar-import", endpoint="import_calendar")
@needs("calendar_source.keep")
def import_calendar() -> Answer:
    """Show what a file would bring; or take it over, if that is still what was shown."""
    typed, now = fields(*FIELDS, many=("file",)), utc_now()
    with reading() as session:
        facility, places = _place(session, typed["facility"])
    if as_code(typed["instrument"]) not in places:
        return _page(facility, places, typed, {"instrument": wording.error_sentence("required")})
    try:
        data, typed["name"] = _sent(typed)
        within = Span(now, window(now).end)
        understood = calendar_reader.read(
            data, zone=facility.zone, within=within, name=typed["name"], seconds=calendar_reader.SOON
        )
    except BadCalendar as error:
        typed["packed"] = ""
        return _page(facility, places, typed, {"file": wording.source_failure(error.code)})
    typed["packed"] = base64.b64encode(zlib.compress(data, 9)).decode()
    if len(typed["packed"]) > MOST_PACKED:
        return _page(facility, places, typed | {"packed": ""}, {"file": wording.source_failure("too_large")})
    try:
        return _take(facility, places, typed, understood)
    except Invalid as error:
        problems = {name: wording.error_sentence(code) for name, code in error.errors.items()}
        return _page(facility, places, typed | {"packed": ""}, problems)


def _take(
    facility: Facility, places: Mapping[str, Instrument], typed: dict[str, str], understood: Reading
) -> Answer:
    how: dict[str, Any] = {
        "closing": bool(typed["closing"]),
        "words": _("Taken over from a calendar"),
        "now": utc_now(),
    }
    if not typed["take"]:
        return _page(facility, places, typed, plan=_checked(typed, understood, how))
    try:
        with transaction() as session:
            place = instruments.by_code(session, actor=actor(), code=as_code(typed["instrument"]))
            plan = calendar_imports.apply(
                session, actor=actor(), instrument=place, reading=understood, seen=typed["seen"], **how
            )
    except Changed as changed:
        return _page(facility, places, typed, plan=changed.plan, changed=True)
    made, closed = plan.count(Became.BOOKING), plan.count(Became.CLOSURE)
    flash(
        _(
            "Taken over: %(bookings)s, %(closures)s.",
            bookings=ngettext("%(num)d booking", "%(num)d bookings", made, num=made),
            closures=ngettext("%(num)d closure", "%(num)d closures", closed, num=closed),
        ),
        "success",
    )
    return redirect(url_for("web.calendar_sources", facility=facility.code), 303)


def _checked(typed: Mapping[str, str], understood: Reading, how: dict[str, Any]) -> Plan:
    with transaction() as session:
        place = instruments.by_code(session, actor=actor(), code=as_code(typed["instrument"]))
        return calendar_imports.check(session, actor=actor(), instrument=place, reading=understood, **how)


def _place(session: Session, code: str) -> tuple[Facility, dict[str, Instrument]]:
    facility = chosen_facility(managed(session), as_code(code) or None)
    ids = instruments.of_facility(session, actor=actor(), code=facility.code)
    rows = instruments.by_ids(session, instrument_ids=ids)
    return facility, {row.code: row for row in sorted(rows.values(), key=lambda row: row.code)}


def _sent(typed: Mapping[str, str]) -> tuple[bytes, str]:
    """Give the file that was chosen, or else the one that was shown before, and its name.

    :raises BadCalendar: if there is none, or it is too large
    """
    sent = request.files.get("file")
    most = calendar_reader.LIMITS.octets
    if sent is not None and sent.filename:
        return sent.read(most + 1), sent.filename[-LONGEST_NAME:]
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(base64.b64decode(typed["packed"], validate=True), most + 1)
    except (binascii.Error, zlib.error, ValueError):
        raise BadCalendar("malformed") from None
    return data, typed["name"][-LONGEST_NAME:]


def _page(
    facility: Facility,
    places: Mapping[str, Instrument],
    typed: Mapping[str, str],
    problems: Mapping[str, str] | None = None,
    *,
    plan: Plan | None = None,
    changed: bool = False,
) -> Answer:
    page = render_template(
        "calendar_sources/import.html",
        facility=facility,
        zone=facility.zone,
        choices=[("", ""), *((code, f"{name_of(row)} · {code}") for code, row in places.items())],
        typed=typed,
        problems=problems or {},
        errors=problems or {},
        plan=plan,
        counts={became.value: plan.count(became) for became in Became} if plan else {},
        changed=changed,
        why=wording.import_why,
        told=lambda reasons: sentences(reasons, facility.zone),
    )
    return page, 422 if problems else 409 if changed else 200

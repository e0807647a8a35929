"""Closures: what is closed, closing with the bookings that are met shown beforehand, and opening again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import Forbidden, NotFound, Subject, may
from booking.domain.rules import LONGEST, Invalid, Refused
from booking.domain.spans import Span
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import current_locale, name_of, ngettext, pgettext
from booking.i18n import gettext as _
from booking.services import catalogue, closures, elsewhere, facilities, instruments, replans
from booking.services.catalogue import Filters
from booking.services.elsewhere import Elsewhere
from booking.web import blueprint
from booking.web.forms import (
    LONGEST_NOTE,
    Intake,
    as_code,
    local_time,
    said,
    typed_local,
    typed_span,
    with_link,
)
from booking.web.judgement import Said, sentences
from models import Booking, Closure, ClosureKind, Facility, Instrument

Answer = str | Redirect | tuple[str, int]

SPAN_FIELDS = ("start_date", "start_time", "end_date", "end_time")
NEW_FIELDS = ("facility", "instrument", *SPAN_FIELDS, "kind", "reason", "way", "check", "anyway")

AHEAD = timedelta(days=365)
"""How far ahead closures are listed."""

OFFERED = 500
"""So many instruments are offered to choose from; any other is reached from its own page."""


class Way(StrEnum):
    """How a closure comes: planned, where it may not meet a booking; at once, whatever is booked."""

    PLANNED = "planned"
    AT_ONCE = "at_once"


@blueprint.get("/closures", endpoint="closures")
@needs("facility.desk")
def show_closures() -> Answer:
    """Show what is closed at a facility, now and ahead, with the bookings that stand in that time."""
    now = utc_now()
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        facility = chosen_facility(staffed, request.args.get("facility"))
        rows = closures.listing(
            session, actor=actor(), facility_id=facility.id, within=Span(now, now + AHEAD)
        )
        manages = may(actor(), "closure.make", Subject(facility_id=facility.id))
        met = {row.id: _met(session, row) if manages else [] for row in rows}
        plans = replans.of_closures(session, closure_ids=[row.id for row in rows if row.imposed])
        names = _names(session, facility, rows)
    return render_template(
        "closures/listing.html",
        facility=facility,
        staffed=staffed,
        rows=rows,
        met=met,
        plans=plans,
        names=names,
        manages=manages,
        kind_words=kind_words(),
        now=now,
    )


def chosen_facility(staffed: Sequence[Facility], wanted: str | None) -> Facility:
    """Give the facility that the address names, or the first of the reader's.

    :raises NotFound: if the reader is not of its staff
    """
    if not staffed:
        raise NotFound("facility")
    if not wanted:
        return staffed[0]
    for facility in staffed:
        if facility.code == wanted:
            return facility
    raise NotFound("facility", wanted)


def kind_words() -> dict[str, str]:
    """Name the kinds of closures."""
    return {
        ClosureKind.MAINTENANCE.value: _("Maintenance"),
        ClosureKind.BREAKDOWN.value: _("Breakdown"),
        ClosureKind.CLOSURE.value: pgettext("a closure", "Closed"),
    }


def _met(session: Session, row: Closure) -> list[Booking]:
    """Give the bookings that stand in the time of a closure; a planned one has none."""
    if not row.imposed:
        return []
    return closures.affected(
        session,
        actor=actor(),
        facility_id=row.facility_id,
        instrument_id=row.instrument_id,
        span=Span(row.starts_at, row.ends_at),
    )


def _names(session: Session, facility: Facility, rows: Sequence[Closure]) -> dict[int, Instrument]:
    wanted = {row.instrument_id for row in rows if row.instrument_id is not None}
    codes = instruments.codes_of(session, instrument_ids=wanted)
    known = {item.id: item for item in _all_of(session, facility)} if wanted else {}
    return {
        place: known.get(place) or instruments.by_code(session, actor=actor(), code=code)
        for place, code in codes.items()
    }


def _all_of(session: Session, facility: Facility) -> list[Instrument]:
    """Give the facility's instruments, those not published too, by code."""
    found: list[Instrument] = []
    page_size = catalogue.MOST_PER_PAGE
    for number in range(1, OFFERED // page_size + 1):
        page = catalogue.search(
            session,
            actor=actor(),
            filters=Filters(facility=facility.code),
            page=number,
            page_size=page_size,
            locale=current_locale(),
            facets=False,
        )
        found += page.items
        if len(found) >= page.total:
            break
    return found


# --- closing --------------------------------------------------------------------------------------


@blueprint.get("/closures/new", endpoint="new_closure")
@needs("closure.make")
def show_new_closure() -> Answer:
    """Show the form, with the bookings that its time would meet."""
    now = utc_now()
    with reading() as session:
        facility, all_of = place_of(
            session, request.args.get("facility", ""), request.args.get("instrument", "")
        )
        typed = _from_address(facility, now)
        intake, span, instrument_id = _read(typed, facility, all_of)
        met = _affected(session, facility, instrument_id, span) if not intake.errors else None
        near = _near(session, facility, instrument_id, span, met, now)
    if request.args.get("part") == "verdict":
        return render_template("closures/affected_alone.html", met=met, near=near, zone=facility.zone)
    return _form_page(facility, all_of, typed, intake.errors, met, near=near)


@blueprint.post("/closures/new")
@needs("closure.make")
def make_closure() -> Answer:
    """Close; or only check whom it meets."""
    typed = fields(*NEW_FIELDS)
    now = utc_now()
    if typed["anyway"]:
        typed["way"] = Way.AT_ONCE.value
    with reading() as session:
        facility, all_of = place_of(session, typed["facility"], "")
        intake, span, instrument_id = _read(typed, facility, all_of)
        kind = intake.choice("kind", ClosureKind, ClosureKind.MAINTENANCE)
        way = intake.choice("way", Way, Way.PLANNED)
        reason = intake.text("reason", longest=LONGEST_NOTE)
        met = _affected(session, facility, instrument_id, span) if not intake.errors else None
        near = _near(session, facility, instrument_id, span, met, now) if typed["check"] else {}
    if intake.errors or span is None or kind is None or way is None:
        return _form_page(facility, all_of, typed, intake.errors, met, status=422)
    if typed["check"]:
        return _form_page(facility, all_of, typed, {}, met, near=near)
    try:
        with transaction() as session:
            closure, displaced = closures.make(
                session,
                actor=actor(),
                facility_id=facility.id,
                instrument_id=instrument_id,
                span=span,
                kind=kind,
                reason=reason,
                imposed=way is Way.AT_ONCE,
                now=now,
            )
            count, made = len(displaced), closure.id
    except Refused as refusal:
        with reading() as session:
            met = _affected(session, facility, instrument_id, span)
            near = _near(session, facility, instrument_id, span, met, now)
        reasons = sentences(refusal.reasons, facility.zone)
        return _form_page(facility, all_of, typed, {}, met, near=near, reasons=reasons, status=409)
    except Invalid as error:
        wrong = {"end_date" if name == "to" else name: code for name, code in error.errors.items()}
        return _form_page(facility, all_of, typed, wrong, met, status=422)
    if count:
        words = ngettext(
            "Closed. %(num)d booking stands in this time; its person is being told.",
            "Closed. %(num)d bookings stand in this time; their people are being told.",
            count,
            num=count,
        )
        flash(words, "warning")
    else:
        flash(_("Closed. No booking is met."), "success")
    return redirect(url_for("web.closures", facility=facility.code, _anchor=f"closure-{made}"), 303)


def place_of(session: Session, code: str, instrument: str) -> tuple[Facility, list[Instrument]]:
    """Give the facility that the actor may close, with its instruments; one named instrument decides which.

    :raises NotFound: if there is no such facility or instrument
    :raises Forbidden: if the actor does not manage it
    """
    staffed = facilities.managed(session, actor=actor())
    if not code and as_code(instrument):
        code = instruments.by_code(session, actor=actor(), code=as_code(instrument)).facility.code
    if not code:
        staffed = [one for one in staffed if may(actor(), "closure.make", Subject(facility_id=one.id))]
    facility = chosen_facility(staffed, as_code(code))
    if not may(actor(), "closure.make", Subject(facility_id=facility.id)):
        raise Forbidden("closure.make")
    return facility, _all_of(session, facility)


def _from_address(facility: Facility, now: datetime) -> dict[str, str]:
    """Read the form's values from the address; without a time it is the next whole hour, for two hours."""
    zone = hours.zone(facility.zone)
    typed = {name: request.args.get(name, "") for name in NEW_FIELDS}
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    default = typed_span(Span(start, start + timedelta(hours=2)), zone)
    given = {name: value for name, value in typed.items() if value}
    for name in ("start", "end"):
        if request.args.get(name):
            given |= typed_local(name, request.args[name], zone)
    return {
        **typed,
        "facility": facility.code,
        "kind": ClosureKind.MAINTENANCE.value,
        "way": Way.PLANNED.value,
        **default,
        **given,
    }


def _read(
    typed: Mapping[str, str], facility: Facility, all_of: Sequence[Instrument]
) -> tuple[Intake, Span | None, int | None]:
    intake = Intake(typed)
    span = intake.span(hours.zone(facility.zone))
    if span is not None and span.duration > LONGEST:
        intake.errors["end_date"] = "out_of_range"
    code = as_code(typed["instrument"])
    places = {one.code: one.id for one in all_of}
    if typed["instrument"] and code not in places:
        intake.errors["instrument"] = "unknown"
    return intake, span, places.get(code)


def _affected(
    session: Session, facility: Facility, instrument_id: int | None, span: Span | None
) -> list[Booking]:
    if span is None:
        return []
    return closures.affected(
        session, actor=actor(), facility_id=facility.id, instrument_id=instrument_id, span=span
    )


def _near(
    session: Session,
    facility: Facility,
    instrument_id: int | None,
    span: Span | None,
    met: Sequence[Booking] | None,
    now: datetime,
) -> Mapping[UUID, Elsewhere | None]:
    if not met or span is None:
        return {}
    return elsewhere.look(
        session, met=met, facility_id=facility.id, instrument_id=instrument_id, span=span, now=now
    )


def _form_page(
    facility: Facility,
    all_of: Sequence[Instrument],
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    met: Sequence[Booking] | None,
    *,
    near: Mapping[UUID, Elsewhere | None] | None = None,
    reasons: Sequence[Said] = (),
    status: int = 200,
) -> Answer:
    labels = {
        "start_date": _("Start date"),
        "start_time": _("Start time"),
        "end_date": _("End date"),
        "end_time": _("End time"),
        "instrument": _("What is closed"),
        "reason": _("Reason"),
        "kind": _("Kind"),
    }
    page = render_template(
        "closures/new.html",
        facility=facility,
        zone=facility.zone,
        choices=[
            ("", _("The whole facility")),
            *((one.code, f"{name_of(one)} · {one.code}") for one in all_of),
        ],
        kinds=list(kind_words().items()),
        ways=[
            (
                Way.PLANNED.value,
                _("Planned closure"),
                _("Refused where it meets a booking."),
            ),
            (
                Way.AT_ONCE.value,
                _("Closed at once"),
                _("It stands whatever is booked. Those who are displaced are told."),
            ),
        ],
        typed=typed,
        errors=said(errors, labels),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
        met=met,
        near=near or {},
        reasons=reasons,
        now=utc_now(),
    )
    return page, status


# --- opening again --------------------------------------------------------------------------------


@blueprint.post("/closures/<uuid:closure_id>/lifting")
@needs("closure.make")
def lift_closure(closure_id: UUID) -> Answer:
    """Open again before its end, or take back what is still ahead."""
    fields()
    with transaction() as session:
        closure = closures.lift(session, actor=actor(), closure_id=closure_id, now=utc_now())
        staffed = facilities.managed(session, actor=actor())
        facility = next(one for one in staffed if one.id == closure.facility_id)
        again = _again(session, closure, facility)
    flash(with_link(_("Open again: the time can be booked."), again, _("Close it again")), "success")
    return redirect(url_for("web.closures", facility=facility.code), 303)


def _again(session: Session, closure: Closure, facility: Facility) -> str:
    """Give the address of a form that makes the same closure."""
    zone = hours.zone(facility.zone)
    values: dict[str, Any] = {
        "facility": facility.code,
        "start": local_time(closure.starts_at, zone),
        "end": local_time(closure.ends_at, zone),
        "kind": closure.kind.value,
        "way": Way.AT_ONCE.value if closure.imposed else Way.PLANNED.value,
    }
    if closure.instrument_id is not None:
        values["instrument"] = instruments.codes_of(session, instrument_ids=[closure.instrument_id])[
            closure.instrument_id
        ]
    return url_for("web.new_closure", **values)

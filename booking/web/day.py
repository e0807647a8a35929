"""At the instrument: its label, the page that the label leads to, and what one does there in a few big buttons."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from flask import Response, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import i18n, wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import Subject, may
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.gateways import labels as drawing
from booking.gateways.labels import Label
from booking.http.context import public_url_for
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import attendance, bookings, facilities, faults, instruments, labels
from booking.services.labels import Status
from booking.web import blueprint
from booking.web.bookings import carry_out, deeds
from booking.web.forms import LONGEST_TEXT, Intake, said, typed_span
from booking.web.judgement import Said, sentences
from models import Instrument

Answer = str | Response | Redirect | tuple[str, int]

SPAN_FIELDS = ("start_date", "start_time", "end_date", "end_time")


@blueprint.get("/i/<code>", endpoint="day")
@needs("availability.read")
def show_day(code: str) -> Answer:
    """Show what an instrument is doing now, and what I can do here."""
    return _page(code)


def _page(code: str, *, status: int = 200, reasons: list[Said] | None = None) -> Answer:
    now = utc_now()
    with reading() as session:
        row = instruments.by_code(session, actor=actor(), code=code)
        seen = labels.moment(session, actor=actor(), instrument=row, now=now)
        hour: Span | None = None
        if actor().signed_in and seen.status is not Status.DOWN and row.bookable:
            hour, _reasons = labels.next_hour(session, actor=actor(), instrument=row, now=now)
        missed = _missed(session, [bar.booking_id for bar in seen.current if bar.booking_id], now)
    zone = row.facility.zone
    page = render_template(
        "day/day.html",
        instrument=row,
        zone=zone,
        seen=seen,
        status_words=status_words(seen.status, seen.until, zone),
        may_do=deeds(seen.mine, now) if seen.mine else set(),
        hour=hour,
        hour_typed=typed_span(hour, hours.zone(zone)) if hour else {},
        here=url_for("web.day", code=code),
        staff=may(actor(), "fault.see", Subject(facility_id=row.facility_id)),
        missed=missed,
        reasons=reasons or [],
        now=now,
    )
    return page, status


def _missed(session: Session, ids: Sequence[UUID], now: datetime) -> set[UUID]:
    """Give those of the bookings of which the reader may say that nobody came."""
    found = bookings.by_ids(session, ids=ids) if ids else []
    return {
        row.id for row in found if attendance.may_call_missed(session, actor=actor(), booking=row, now=now)
    }


def status_words(status: Status, until: datetime | None, zone: str) -> str:
    """Say what an instrument is doing, and until when."""
    at = i18n.format_datetime(until, zone) if until is not None else ""
    if status is Status.SHUT:
        return _("Outside opening hours; opens %(at)s", at=at) if at else _("Outside opening hours")
    return {
        Status.DOWN: _("Out of order until %(at)s", at=at),
        Status.CLOSED: _("Closed until %(at)s", at=at),
        Status.CLEANING: _("Being cleaned up until %(at)s", at=at),
        Status.IN_USE: _("In use until %(at)s", at=at),
        Status.BOOKED: _("Booked until %(at)s, nobody has checked in", at=at),
        Status.FREE: _("Free until %(at)s", at=at),
    }[status]


@blueprint.post("/i/<code>/hour", endpoint="book_hour")
@needs("booking.place")
def book_hour(code: str) -> Answer:
    """Book the hour that the page offered."""
    form = fields(*SPAN_FIELDS)
    try:
        with transaction() as session:
            row = instruments.by_code(session, actor=actor(), code=code)
            zone = row.facility.zone
            intake = Intake(form)
            span = intake.span(hours.zone(zone))
            if span is None:
                raise Invalid(intake.errors)
            booking = bookings.place(session, actor=actor(), items=[Item(row.id, span)], now=utc_now())
            asks = booking.state.value == "requested"
    except Refused as refusal:
        return _page(code, status=409, reasons=sentences(refusal.reasons, zone))
    words = _("Asked for: %(span)s. The facility has to approve it.") if asks else _("Booked: %(span)s.")
    flash(words % {"span": i18n.format_span(span.start, span.end, zone)}, "success")
    return redirect(url_for("web.day", code=code), 303)


@blueprint.post("/bookings/<uuid:booking_id>/extension", endpoint="extend_booking")
@needs("booking.change")
def extend_booking(booking_id: UUID) -> Answer:
    """Lengthen a booking by a step."""
    form = fields("back")
    return carry_out(
        booking_id,
        lambda session: bookings.extend(session, actor=actor(), booking_id=booking_id, now=utc_now()),
        lambda booking: _(
            "Extended until %(at)s.",
            at=i18n.format_datetime(booking.ends_at, booking.items[0].instrument.facility.zone),
        ),
        form["back"],
    )


# --- a problem ------------------------------------------------------------------------------------


@blueprint.get("/i/<code>/problem", endpoint="report_problem")
@needs("fault.report")
def show_problem(code: str) -> Answer:
    """Ask what is wrong."""
    with reading() as session:
        row = instruments.by_code(session, actor=actor(), code=code)
    return _problem_form(row, {"text": "", "stops_work": ""}, {})


@blueprint.post("/i/<code>/problem")
@needs("fault.report")
def submit_problem(code: str) -> Answer:
    """Tell the facility what is wrong."""
    form = fields("text", "stops_work")
    intake = Intake(form)
    text = intake.text("text", longest=LONGEST_TEXT, lines=True)
    now = utc_now()
    try:
        intake.demand()
        with transaction() as session:
            row = instruments.by_code(session, actor=actor(), code=code)
            mine = labels.own(session, actor=actor(), instrument=row, now=now)
            faults.report(
                session,
                actor=actor(),
                code=code,
                text=text,
                stops_work=bool(form["stops_work"]),
                booking_id=mine.id if mine is not None and mine.starts_at <= now else None,
                now=now,
            )
    except Invalid as error:
        with reading() as session:
            row = instruments.by_code(session, actor=actor(), code=code)
        return _problem_form(row, form, error.errors), 422
    flash(_("Thank you: the facility was told."), "success")
    return redirect(url_for("web.day", code=code), 303)


def _problem_form(row: Instrument, typed: Mapping[str, str], errors: Mapping[str, str]) -> str:
    return render_template(
        "day/problem.html",
        instrument=row,
        typed=typed,
        errors=said(errors, {"text": _("What is wrong")}),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
    )


# --- labels ---------------------------------------------------------------------------------------


@blueprint.get("/instruments/<code>/label.svg", endpoint="label_svg")
@needs("catalogue.read")
def label_svg(code: str) -> Response:
    """Give the label as a drawing."""
    return Response(drawing.svg(_label(_instrument(code))), mimetype="image/svg+xml")


@blueprint.get("/instruments/<code>/label.png", endpoint="label_png")
@needs("catalogue.read")
def label_png(code: str) -> Response:
    """Give the label's code as a picture."""
    return Response(drawing.png(_label(_instrument(code))), mimetype="image/png")


@blueprint.get("/facilities/<code>/labels.pdf", endpoint="label_sheet")
@needs("facility.desk")
def label_sheet(code: str) -> Response:
    """Give all labels of a facility to print and cut."""
    with reading() as session:
        facility = facilities.by_code(session, code=code)
        rows = labels.of_facility(session, actor=actor(), facility=facility)
    body = drawing.sheet([_label(row) for row in rows], title=_("Labels of %(name)s", name=name_of(facility)))
    response = Response(body, mimetype="application/pdf")
    response.headers["Content-Disposition"] = 'inline; filename="labels.pdf"'
    return response


def _instrument(code: str) -> Instrument:
    with reading() as session:
        return instruments.by_code(session, actor=actor(), code=code)


def _label(row: Instrument) -> Label:
    address = public_url_for("web.day", code=row.code)
    return Label(address, row.code, row.name_zh, row.name_en, row.location)

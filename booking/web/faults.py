"""Reports of faults: what the facility's staff see of them and what its manager makes of each."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain import hours
from booking.domain.access import NotFound, Subject, may
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import ngettext, pgettext
from booking.services import facilities, faults, instruments, repairs, replans
from booking.web import blueprint
from booking.web.closures import chosen_facility
from booking.web.forms import LONGEST_NOTE, Intake, as_code, said, typed_span, with_link
from booking.web.judgement import Said, sentences
from models import FaultState

Answer = str | Redirect | tuple[str, int]

DOWN_FOR = timedelta(days=1)
"""So long an instrument is put down, unless the manager says otherwise."""


class Show(StrEnum):
    """Which reports are shown."""

    WAITING = "waiting"
    ALL = "all"


@blueprint.get("/faults", endpoint="faults")
@needs("fault.see")
def show_faults() -> Answer:
    """Show what people have reported at a facility."""
    return _page(request.args.get("facility"))


def _page(
    code: str | None,
    *,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    wrong: UUID | None = None,
    typed: Mapping[str, str] | None = None,
    reasons: list[Said] | None = None,
) -> Answer:
    now = utc_now()
    show = Show.ALL if request.args.get("show") == Show.ALL.value else Show.WAITING
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        facility = chosen_facility(staffed, code)
        only = as_code(request.args.get("instrument"))
        place = instruments.by_code(session, actor=actor(), code=only) if only else None
        if place is not None and place.facility_id != facility.id:
            raise NotFound("instrument", only)
        rows = faults.listing(
            session,
            actor=actor(),
            facility_id=facility.id,
            instrument_id=place.id if place else None,
            states=faults.WAITING if show is Show.WAITING and place is None else (),
        )
        shut = {row.closure_id for row in rows if row.closure_id is not None}
        plans = replans.of_closures(session, closure_ids=shut)
    page = render_template(
        "faults/listing.html",
        facility=facility,
        staffed=staffed,
        place=place,
        rows=rows,
        plans=plans,
        show=show.value,
        tabs=[(Show.WAITING.value, _("Waiting")), (Show.ALL.value, _("All"))],
        settles=may(actor(), "fault.settle", Subject(facility_id=facility.id)),
        state_words=state_words(),
        until=_until(facility.zone),
        errors=said(errors or {}, {"answer": _("Answer"), "until_date": _("Out of order until")}),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        wrong=wrong,
        typed=dict(typed or {}),
        reasons=reasons or [],
        now=now,
    )
    return page, status


def _until(zone: str) -> dict[str, str]:
    """Give what stands in the fields of the time until which an instrument is put down."""
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    typed = typed_span(Span(now, now + DOWN_FOR), hours.zone(zone))
    return {"date": typed["end_date"], "time": typed["end_time"]}


def state_words() -> dict[str, str]:
    """Name what became of reports."""
    return {
        FaultState.OPEN.value: _("New"),
        FaultState.CONFIRMED.value: pgettext("of a fault", "Confirmed"),
        FaultState.MENDED.value: _("Mended"),
        FaultState.DISMISSED.value: _("Dismissed"),
    }


@blueprint.post("/faults/<uuid:fault_id>/confirmation", endpoint="confirm_fault")
@needs("fault.settle")
def confirm_fault(fault_id: UUID) -> Answer:
    """Say that it is so, and put the instrument down until a time if it cannot be used."""
    form = fields("facility", "answer", "down", "until_date", "until_time")
    now = utc_now()
    intake = Intake(form)
    answer = intake.text("answer", longest=LONGEST_NOTE, lines=True)
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        facility = chosen_facility(staffed, as_code(form["facility"]))
    until = intake.instant("until", hours.zone(facility.zone)) if form["down"] else None
    if until is not None and until <= now:
        intake.errors["until_date"] = "out_of_range"
    if intake.errors:
        return _page(facility.code, status=422, errors=intake.errors, wrong=fault_id, typed=form)
    try:
        with transaction() as session:
            fault, met = repairs.confirm(
                session, actor=actor(), fault_id=fault_id, down_until=until, answer=answer, now=now
            )
            closure_id, count = fault.closure_id, len(met)
    except Refused as refusal:
        return _page(facility.code, status=409, reasons=sentences(refusal.reasons, facility.zone))
    if closure_id is None:
        flash(_("The report is confirmed."), "success")
        return redirect(url_for("web.faults", facility=facility.code), 303)
    flash(_down_words(facility.code, closure_id, count), "warning" if count else "success")
    return redirect(url_for("web.faults", facility=facility.code), 303)


def _down_words(code: str, closure_id: UUID, count: int) -> Markup:
    words = (
        ngettext(
            "The instrument is out of order. %(num)d booking stands in this time; its person is being told.",
            "The instrument is out of order. %(num)d bookings stand in this time; their people are being told.",
            count,
            num=count,
        )
        if count
        else _("The instrument is out of order. No booking is met.")
    )
    where = url_for("web.closures", facility=code, _anchor=f"closure-{closure_id}")
    return with_link(words, where, _("See the closure"))


@blueprint.post("/faults/<uuid:fault_id>/mending", endpoint="mend_fault")
@needs("fault.settle")
def mend_fault(fault_id: UUID) -> Answer:
    """Say that it is mended."""
    form = fields("facility", "answer")
    return _settle(fault_id, form, mended=True)


@blueprint.post("/faults/<uuid:fault_id>/dismissal", endpoint="dismiss_fault")
@needs("fault.settle")
def dismiss_fault(fault_id: UUID) -> Answer:
    """Say that nothing is wrong."""
    form = fields("facility", "answer", "down", "until_date", "until_time")
    return _settle(fault_id, form, mended=False)


def _settle(fault_id: UUID, form: dict[str, str], *, mended: bool) -> Answer:
    code = as_code(form["facility"])
    intake = Intake(form)
    answer = intake.text("answer", longest=LONGEST_NOTE, lines=True)
    try:
        intake.demand()
        with transaction() as session:
            command = repairs.mend if mended else repairs.dismiss
            command(session, actor=actor(), fault_id=fault_id, answer=answer, now=utc_now())
    except Invalid as error:
        return _page(code, status=422, errors=error.errors, wrong=fault_id, typed=form)
    except Refused as refusal:
        return _page(code, status=409, reasons=sentences(refusal.reasons, "UTC"))
    flash(
        _("Noted as mended; the instrument is open.") if mended else _("The report is dismissed."), "success"
    )
    return redirect(url_for("web.faults", facility=code), 303)

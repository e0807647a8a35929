"""Targets of utilisation: the page of a facility on which its manager sets them."""

from collections.abc import Mapping
from operator import itemgetter
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from booking.db import reading, transaction
from booking.domain import hours
from booking.domain.access import Subject, may
from booking.domain.rules import Invalid
from booking.domain.utilisation import Measure
from booking.http.forms import fields, sentences
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import format_number, name_of
from booking.i18n import gettext as _
from booking.services import facilities, instruments, targets
from booking.services.targets import Draft
from booking.web import blueprint
from booking.web.closures import chosen_facility
from booking.web.forms import Intake, as_code, today_in
from models import Instrument

Answer = str | Response | tuple[str, int]


@blueprint.get("/desk/targets", endpoint="targets")
@needs("facility.desk")
def show_targets() -> Answer:
    """Show the targets of a facility."""
    return _page(request.args.get("facility"))


@blueprint.post("/desk/targets", endpoint="set_target")
@needs("target.keep")
def set_target() -> Answer:
    """Set a target from a day on."""
    form = fields("facility", "instrument", "measure", "value", "valid_from")
    code = as_code(form["facility"])
    intake = Intake(form)
    measure = intake.choice("measure", Measure)
    ends = measure is None and form["measure"] == "none"
    if ends:
        intake.errors.pop("measure")
    top = targets.MOST[measure or Measure.HOURS]
    value = None if ends else intake.whole("value", least=1, most=top)
    day = intake.day("valid_from")
    if intake.errors or day is None:
        return _page(code, form=form, errors=sentences(Invalid(intake.errors))), 422
    with transaction() as session:
        facility = chosen_facility(facilities.managed(session, actor=actor()), code)
        place = as_code(form["instrument"])
        where = instruments.by_codes(session, actor=actor(), codes=[place])[place] if place else None
        targets.put(
            session,
            actor=actor(),
            facility_id=facility.id,
            instrument_id=where,
            draft=Draft(measure or Measure.PERCENT, value, day),
            now=utc_now(),
        )
    flash(_("The target is set."), "success")
    return redirect(url_for("web.targets", facility=code), 303)


@blueprint.post("/desk/targets/<uuid:target_id>/removal", endpoint="drop_target")
@needs("target.keep")
def drop_target(target_id: UUID) -> Answer:
    """Take a target away."""
    form = fields("facility")
    code = as_code(form["facility"])
    with transaction() as session:
        facility = chosen_facility(facilities.managed(session, actor=actor()), code)
        targets.drop(session, actor=actor(), facility_id=facility.id, target_id=target_id, now=utc_now())
    flash(_("The target is gone."), "success")
    return redirect(url_for("web.targets", facility=code), 303)


def said(measure: Measure, value: int | None) -> str:
    """Say a target in words."""
    if value is None:
        return _("No target")
    if measure is Measure.PERCENT:
        return _("%(value)s%% of the open time", value=value)
    return _("%(value)s h a year", value=format_number(value))


def _page(
    code: str | None,
    *,
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> str:
    with reading() as session:
        facility = chosen_facility(facilities.managed(session, actor=actor()), code)
        rows = targets.listing(session, actor=actor(), facility_id=facility.id)
        ids = list(instruments.of_facility(session, actor=actor(), code=facility.code))
        places = instruments.by_ids(session, instrument_ids=ids)
    today = today_in(hours.zone(facility.zone), utc_now())
    current = {}
    for row in sorted(rows, key=lambda row: row.valid_from):
        if row.valid_from <= today:
            current[row.instrument_id] = row.id
    return render_template(
        "desk/targets.html",
        facility=facility,
        rows=rows,
        places=places,
        current=set(current.values()),
        said=said,
        today=today,
        keeps=may(actor(), "target.keep", Subject(facility_id=facility.id)),
        measures=[
            (Measure.PERCENT.value, _("Percent of the open time")),
            (Measure.HOURS.value, _("Hours a year"), _("Shared out over the days of the year.")),
            ("none", _("No target"), _("From that day on.")),
        ],
        offered=[("", _("Every instrument of the facility")), *sorted(_named(places), key=itemgetter(1))],
        form=dict(form or {}),
        errors=dict(errors or {}),
    )


def _named(places: Mapping[int, Instrument]) -> list[tuple[str, str]]:
    return [(row.code, f"{name_of(row)} · {row.code}") for row in places.values()]

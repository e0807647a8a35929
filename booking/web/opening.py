"""Opening: hours of a facility or an instrument, whether it is offered, its permits; first whom that displaces."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.access import Subject, require
from booking.domain.hours import WeeklyHours, changes_ahead, in_force, zone
from booking.domain.inventory import hours_text
from booking.domain.rules import Invalid
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of, ngettext
from booking.services import displacements, facilities, instruments, permits
from booking.services.permits import Standing
from booking.web import blueprint
from booking.web.forms import Intake, said, today_in
from models import Booking, Facility, Instrument, Replan

Answer = str | Redirect | tuple[str, int]


@blueprint.get("/facilities/<code>/hours", endpoint="facility_hours")
@needs("instrument.edit")
def show_facility_hours(code: str) -> Answer:
    """Show the weekly hours of a facility as they can be edited."""
    with reading() as session:
        facility = _facility(session, code)
        hours = facilities.hours(session, facility_id=facility.id)
    return _page(facility, None, {"opening": _lines(hours, facility)})


@blueprint.post("/facilities/<code>/hours", endpoint="set_facility_hours")
@needs("instrument.edit")
def set_facility_hours(code: str) -> Answer:
    """Write them, or only look whom they displace."""
    typed = fields("opening", "since", "try")
    with reading() as session:
        facility = _facility(session, code)
    try:
        hours = displacements.hours_from(typed["opening"])
        given: dict[str, Any] = {
            "actor": actor(),
            "code": code,
            "hours": hours,
            "since": _since(typed),
            "now": utc_now(),
        }
        if typed["try"]:
            with reading() as session:
                met = displacements.by_facility_hours(session, **given)
            return _page(facility, None, typed, met=met)
        with transaction() as session:
            met, replan = displacements.set_facility_hours(session, **given)
            return done(met, replan, url_for("web.facility_hours", code=code))
    except Invalid as error:
        return _page(facility, None, typed, error=error)


@blueprint.get("/instruments/<code>/service", endpoint="instrument_service")
@needs("instrument.edit")
def show_instrument_service(code: str) -> Answer:
    """Show whether an instrument is offered, and its own hours, as they can be edited."""
    with reading() as session:
        row = _instrument(session, code)
        text = _lines(facilities.own_hours(session, instrument_id=row.id), row.facility)
    return _page(row.facility, row, {"opening": text, "bookable": "yes" if row.bookable else "no"})


@blueprint.post("/instruments/<code>/service", endpoint="set_instrument_service")
@needs("instrument.edit")
def set_instrument_service(code: str) -> Answer:
    """Withdraw it, offer it again, give it other hours, or only look whom that displaces."""
    typed = fields("opening", "bookable", "since", "try")
    with reading() as session:
        row = _instrument(session, code)
    try:
        given: dict[str, Any] = {
            "actor": actor(),
            "code": code,
            "bookable": typed["bookable"] != "no",
            "opening": typed["opening"],
            "since": _since(typed),
            "now": utc_now(),
        }
        if typed["try"]:
            with reading() as session:
                met = displacements.by_instrument(session, **given)
            return _page(row.facility, row, typed, met=met)
        with transaction() as session:
            met, replan = displacements.set_instrument(session, **given)
            return done(met, replan, url_for("web.instrument_service", code=code))
    except Invalid as error:
        return _page(row.facility, row, typed, error=error)


def done(
    met: Sequence[Booking], replan: Replan | None, back: str, *, covered: Sequence[Booking] = ()
) -> Redirect:
    """Say what was done, where the other places are looked for."""
    if covered:
        flash(
            ngettext(
                "%(num)d booking has its permit again.",
                "%(num)d bookings have their permit again.",
                len(covered),
                num=len(covered),
            ),
            "success",
        )
    if not met:
        flash(_("Kept. No booking is displaced."), "success")
        return redirect(back, 303)
    words = ngettext(
        "Kept. %(num)d booking is displaced.", "Kept. %(num)d bookings are displaced.", len(met), num=len(met)
    )
    flash(words, "warning")
    return redirect(back if replan is None else url_for("web.replan", replan_id=replan.id), 303)


def service_page(
    code: str,
    *,
    permit: Mapping[str, str] | None = None,
    ending: tuple[UUID, str, str] | None = None,
    met: Sequence[Booking] | None = None,
    covered: Sequence[Booking] = (),
    error: Invalid | None = None,
) -> Answer:
    """Show the page of an instrument's service with what was typed about its permits."""
    with reading() as session:
        row = _instrument(session, code)
        text = _lines(facilities.own_hours(session, instrument_id=row.id), row.facility)
    kept = {"opening": text, "bookable": "yes" if row.bookable else "no"}
    return _page(row.facility, row, kept, permit=permit, ending=ending, met=met, covered=covered, error=error)


def _lines(hours: Sequence[WeeklyHours], facility: Facility) -> str:
    """Write the week that counts today, a line for each day or run of days."""
    return hours_text(in_force(hours, today_in(zone(facility.zone), utc_now()))).replace("; ", "\n")


def _since(typed: Mapping[str, str]) -> date | None:
    """Read the day from which hours count; nothing is from the beginning.

    :raises Invalid: if it is none
    """
    if not typed["since"].strip():
        return None
    intake = Intake(typed)
    day = intake.day("since")
    intake.demand()
    return day


def _ahead(facility: Facility, instrument: Instrument | None) -> list[tuple[date, str]]:
    """Give the days ahead on which other hours begin, each with its week."""
    with reading() as session:
        if instrument is None:
            hours = facilities.hours(session, facility_id=facility.id)
        else:
            hours = facilities.own_hours(session, instrument_id=instrument.id)
    today = today_in(zone(facility.zone), utc_now())
    return [(day, hours_text(week) or _("closed")) for day, week in changes_ahead(hours, today)]


def _of_facility(facility: Facility) -> str:
    with reading() as session:
        return _lines(facilities.hours(session, facility_id=facility.id), facility)


def _facility(session: Session, code: str) -> Facility:
    facility = facilities.by_code(session, code=code)
    require(actor(), "instrument.edit", Subject(facility_id=facility.id))
    return facility


def _instrument(session: Session, code: str) -> Instrument:
    row = instruments.by_code(session, actor=actor(), code=code)
    require(actor(), "instrument.edit", Subject(facility_id=row.facility_id))
    return row


def _page(
    facility: Facility,
    instrument: Instrument | None,
    typed: Mapping[str, str],
    *,
    met: Sequence[Booking] | None = None,
    covered: Sequence[Booking] = (),
    error: Invalid | None = None,
    permit: Mapping[str, str] | None = None,
    ending: tuple[UUID, str, str] | None = None,
) -> Answer:
    wrong = error.errors if error is not None else {}
    params = error.params if error is not None else {}
    problems = {
        name: wording.error_sentence(code) if name == "since" else wording.cell_sentence(code, params)
        for name, code in wrong.items()
    }
    page = render_template(
        "opening/edit.html",
        facility=facility,
        instrument=instrument,
        what=name_of(instrument or facility),
        typed=typed,
        ahead=_ahead(facility, instrument),
        usual=_of_facility(facility) if instrument else "",
        today=today_in(zone(facility.zone), utc_now()),
        met=met,
        covered=covered,
        errors=said(wrong, _labels()),
        problems=problems,
        permits=_permits(instrument),
        permit=_renewing(instrument) if permit is None else permit,
        ending=ending,
    )
    return page, 422 if wrong else 200


def _labels() -> dict[str, str]:
    return {
        "opening": _("Opening hours"),
        "since": _("Counts from"),
        "name": _("Permit"),
        "number": _("Number"),
        "valid_from": _("First day"),
        "valid_until": _("Last day"),
        "last_day": _("Last day"),
        "note": _("Note"),
    }


def _permits(instrument: Instrument | None) -> list[Standing]:
    if instrument is None:
        return []
    with reading() as session:
        return permits.listing(session, actor=actor(), code=instrument.code, now=utc_now())


def _renewing(instrument: Instrument | None) -> Mapping[str, str]:
    """Fill the form with what follows the permit that the address names."""
    blank = dict.fromkeys(("name", "number", "valid_from", "valid_until", "note"), "")
    wanted = request.args.get("renew", "")
    for one in _permits(instrument) if wanted else ():
        if str(one.permit.id) == wanted:
            first = one.permit.valid_until + timedelta(days=1)
            found = {"name": one.permit.name, "number": one.permit.number, "valid_from": first.isoformat()}
            return blank | found
    return blank

"""Permits of an instrument: entered, renewed, ended, struck out on its page; first it is shown whom that displaces."""

from typing import Any
from uuid import UUID

from flask import url_for
from werkzeug.wrappers import Response as Redirect

from booking.db import reading, transaction
from booking.domain.rules import Invalid
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import permits
from booking.services.permits import LONGEST, LONGEST_REASON, Draft
from booking.web import blueprint
from booking.web.forms import Intake
from booking.web.opening import done, service_page

Answer = str | Redirect | tuple[str, int]


@blueprint.post("/instruments/<code>/permits", endpoint="add_permit")
@needs("instrument.edit")
def add(code: str) -> Answer:
    """Enter a permit or its renewal, or only look whom it leaves without."""
    typed = fields("name", "number", "valid_from", "valid_until", "note", "try")
    given: dict[str, Any] = {"actor": actor(), "code": code, "now": utc_now()}
    try:
        draft = _draft(typed)
        if typed["try"]:
            with reading() as session:
                met = permits.by_adding(session, draft=draft, **given)
            return service_page(code, permit=typed, met=met)
        with transaction() as session:
            _row, met, replan = permits.add(session, draft=draft, **given)
            return done(met, replan, _back(code))
    except Invalid as error:
        return service_page(code, permit=typed, error=error)


@blueprint.post("/instruments/<code>/permits/<uuid:permit_id>/end", endpoint="end_permit")
@needs("instrument.edit")
def end(code: str, permit_id: UUID) -> Answer:
    """Type the last day of a permit over, or only look whom that leaves without and whom it covers."""
    typed = fields("last_day", "reason", "try")
    given: dict[str, Any] = {"actor": actor(), "code": code, "permit_id": permit_id, "now": utc_now()}
    ending = permit_id, typed["last_day"], typed["reason"]
    try:
        intake = Intake(typed)
        given["last_day"] = intake.day("last_day")
        reason = intake.text("reason", longest=LONGEST_REASON)
        intake.demand()
        with reading() as session:
            met, covered = permits.by_ending(session, **given), permits.covered(session, **given)
        if typed["try"]:
            return service_page(code, ending=ending, met=met, covered=covered)
        with transaction() as session:
            _row, met, replan = permits.end(session, reason=reason, **given)
            return done(met, replan, _back(code), covered=covered)
    except Invalid as error:
        return service_page(code, ending=ending, error=error)


@blueprint.post("/instruments/<code>/permits/<uuid:permit_id>/removal", endpoint="strike_permit")
@needs("instrument.edit")
def strike(code: str, permit_id: UUID) -> Answer:
    """Strike a permit out, or only look whom that leaves without."""
    typed = fields("try")
    given: dict[str, Any] = {"actor": actor(), "code": code, "permit_id": permit_id, "now": utc_now()}
    if typed["try"]:
        with reading() as session:
            met = permits.by_striking(session, **given)
        return service_page(code, ending=(permit_id, "", ""), met=met)
    with transaction() as session:
        return done(*permits.strike(session, **given), _back(code))


def _draft(typed: dict[str, str]) -> Draft:
    intake = Intake(typed)
    words = {name: intake.text(name, longest=longest) for name, longest in LONGEST.items()}
    first, last = intake.day("valid_from"), intake.day("valid_until")
    if not words["name"]:
        intake.errors["name"] = "required"
    if intake.errors or first is None or last is None:
        raise Invalid(intake.errors)
    return Draft(words["name"], words["number"], first, last, words["note"])


def _back(code: str) -> str:
    return f"{url_for('web.instrument_service', code=code)}#permits"

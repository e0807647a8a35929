"""Credit: one's own score and how it came about; what managers keep of it, and the administrator for all of them."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from booking import wording
from booking.db import reading, transaction
from booking.domain import credit as sums
from booking.domain import hours
from booking.domain.access import Subject, may
from booking.domain.credit import Chart, Deed, Frame
from booking.domain.rules import Invalid, Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.i18n import gettext as _
from booking.services import credit, facilities
from booking.services.credit import Standing
from booking.web import blueprint
from booking.web.closures import chosen_facility
from booking.web.forms import (
    LONGEST_NOTE,
    LONGEST_TEXT,
    Intake,
    as_code,
    as_date,
    local_midnight,
    said,
    today_in,
)
from booking.web.judgement import Said, sentences
from models import Facility

Answer = str | Response | tuple[str, int]

DRAWN = timedelta(days=180)
"""How far back the line of a score goes."""

SHOWN = 100
"""So many entries are listed."""


def deed_name(name: str) -> str:
    """Name what gives or costs points, and what stands around them."""
    return {
        Deed.NORMAL_USE.value: _("Used as booked"),
        Deed.LATE.value: _("Came late"),
        Deed.EARLY.value: _("Left early"),
        Deed.OVERTIME.value: _("Stayed over time"),
        Deed.NO_SHOW.value: _("Did not come"),
        Deed.LATE_CANCELLATION.value: _("Cancelled late"),
        Deed.NO_FEEDBACK.value: _("Gave no feedback within 24 hours"),
        Frame.START.value: _("Points at the beginning"),
        Frame.CAP.value: _("Most points"),
        Frame.THRESHOLD.value: _("Ban below"),
    }.get(name, name)


blueprint.app_template_global("deed_name")(deed_name)


# --- one's own ------------------------------------------------------------------------------------


@blueprint.get("/credit", endpoint="credit")
@needs("credit.see")
def show_credit() -> Answer:
    """Show my score at each facility and how it came about."""
    return _own_page()


def _own_page(
    *,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    wrong: UUID | None = None,
    text: str = "",
    reasons: list[Said] | None = None,
) -> Answer:
    now = utc_now()
    with reading() as session:
        found = credit.own(session, actor=actor(), now=now)
        today = today_in(hours.zone(credit.CLOCK), now)
        common = credit.rules_of(session, facility_id=None, day=today)
    page = render_template(
        "credit/own.html",
        standings=found,
        charts={one.facility.id: _chart(one, now) for one in found},
        shown=SHOWN,
        errors=said(errors or {}, {"text": _("Why")}),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        wrong=wrong,
        text=text,
        reasons=reasons or [],
        defaults=common,
        names=list(Deed),
        now=now,
    )
    return page, status


def _chart(standing: Standing, now: datetime) -> Chart:
    return sums.chart(standing.course, standing.rules, since=now - DRAWN, until=now)


@blueprint.post("/credit/<uuid:entry_id>/appeal", endpoint="appeal")
@needs("credit.appeal")
def submit_appeal(entry_id: UUID) -> Answer:
    """Say why points were not deserved."""
    form = fields("text")
    intake = Intake(form)
    text = intake.text("text", longest=LONGEST_TEXT, lines=True)
    try:
        intake.demand()
        with transaction() as session:
            credit.appeal(session, actor=actor(), entry_id=entry_id, text=text, now=utc_now())
    except Invalid as error:
        return _own_page(status=422, errors=error.errors, wrong=entry_id, text=form["text"])
    except Refused as refusal:
        return _own_page(status=409, reasons=sentences(refusal.reasons, identity().zone or "UTC"))
    flash(_("The facility reads your appeal and answers it."), "success")
    return redirect(url_for("web.credit"), 303)


# --- a facility's ---------------------------------------------------------------------------------


@blueprint.get("/credit/facility", endpoint="facility_credit")
@needs("credit.keep")
def show_facility_credit() -> Answer:
    """Show the rules, bans and appeals of a facility."""
    return _facility_page(request.args.get("facility"))


def _facility_page(
    code: str | None,
    *,
    status: int = 200,
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    reasons: list[Said] | None = None,
) -> Answer:
    now = utc_now()
    with reading() as session:
        staffed = [
            one
            for one in facilities.managed(session, actor=actor())
            if may(actor(), "credit.keep", Subject(facility_id=one.id))
        ]
        facility = chosen_facility(staffed, code)
        today = today_in(hours.zone(facility.zone), now)
        in_force = credit.rules_of(session, facility_id=facility.id, day=today)
        sources = credit.sources_of(session, facility_id=facility.id, day=today)
        own_rules = credit.own_rules(session, actor=actor(), facility_id=facility.id)
        bans = credit.bans(session, actor=actor(), facility_id=facility.id, now=now)
        appeals = credit.appeals(session, actor=actor(), facility_id=facility.id)
    page = render_template(
        "credit/facility.html",
        facility=facility,
        staffed=staffed,
        in_force=in_force,
        sources=sources,
        names=list(sums.NAMES),
        coming=[row for row in own_rules if row.valid_from > today],
        bans=bans,
        appeals=appeals,
        form={"valid_from": today.isoformat()} | dict(form or {}),
        errors=said(errors or {}, labels or {}),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        reasons=reasons or [],
        now=now,
    )
    return page, status


@blueprint.post("/credit/facility/rules", endpoint="set_credit_rule")
@needs("credit.keep")
def set_rule() -> Answer:
    """Set the points of a deed, or the threshold, from a day on."""
    form = fields("facility", "deed", "points", "ban_below", "ban_days", "valid_from")
    try:
        rule = _typed_rule(form)
        with transaction() as session:
            facility = _managed(session, form["facility"])
            credit.set_rule(session, actor=actor(), facility_id=facility.id, **rule, now=utc_now())
    except Invalid as error:
        return _facility_page(
            as_code(form["facility"]), status=422, form=form, errors=error.errors, labels=_rule_labels()
        )
    flash(_("The rule counts from that day on."), "success")
    return redirect(url_for("web.facility_credit", facility=facility.code), 303)


@blueprint.post("/credit/facility/rules/end", endpoint="end_credit_rule")
@needs("credit.keep")
def end_rule() -> Answer:
    """Let the points of all facilities count here again."""
    form = fields("facility", "deed")
    with transaction() as session:
        facility = _managed(session, form["facility"])
        credit.end_rule(session, actor=actor(), facility_id=facility.id, name=form["deed"], now=utc_now())
    flash(_("From today on the points of all facilities count here."), "success")
    return redirect(url_for("web.facility_credit", facility=facility.code), 303)


def _rule_labels() -> dict[str, str]:
    return {
        "deed": _("For what"),
        "points": _("Points"),
        "ban_below": _("Ban below"),
        "ban_days": _("Days of a ban"),
        "valid_from": _("From"),
    }


def _typed_rule(form: Mapping[str, str]) -> dict[str, Any]:
    """Read a rule.

    :raises Invalid: if it makes no sense
    """
    intake = Intake(form)
    threshold, most = form["deed"] == Frame.THRESHOLD, credit.MOST_POINTS
    points = 0 if threshold else intake.whole("points", least=-most, most=most)
    below = days = None
    if threshold and (intake.raw("ban_below") or intake.raw("ban_days")):
        below = intake.whole("ban_below", least=1, most=most)
        days = intake.whole("ban_days", least=1, most=credit.LONGEST_BAN.days)
    since = _day(intake, "valid_from")
    intake.demand()
    return {
        "name": form["deed"],
        "points": points,
        "ban_below": below,
        "ban_days": days,
        "valid_from": since,
    }


def _day(intake: Intake, name: str) -> date | None:
    day = as_date(intake.raw(name))
    if day is None:
        intake.errors[name] = "malformed" if intake.raw(name) else "required"
    return day


@blueprint.post("/credit/facility/bans", endpoint="ban_person")
@needs("credit.keep")
def ban_person() -> Answer:
    """Let somebody book no more until the end of a day."""
    form = fields("facility", "email", "until", "reason")
    try:
        typed = _typed_ban(form)
        with transaction() as session:
            facility = _managed(session, form["facility"])
            # Who is named a last day means all of it.
            until = local_midnight(typed.pop("day") + timedelta(days=1), hours.zone(facility.zone))
            credit.ban(session, actor=actor(), facility_id=facility.id, until=until, **typed, now=utc_now())
    except Invalid as error:
        labels = {"email": _("E-mail address"), "until": _("Until"), "reason": _("Reason")}
        return _facility_page(
            as_code(form["facility"]), status=422, form=form, errors=error.errors, labels=labels
        )
    flash(_("Noted. What is booked stays booked."), "success")
    return redirect(url_for("web.facility_credit", facility=facility.code), 303)


def _typed_ban(form: Mapping[str, str]) -> dict[str, Any]:
    """Read whom to ban until which day, and why.

    :raises Invalid: if it makes no sense
    """
    intake = Intake(form)
    reason = intake.text("reason", longest=LONGEST_NOTE, lines=True)
    email = intake.text("email", longest=254)
    day = _day(intake, "until")
    intake.demand()
    return {"reason": reason, "email": email, "day": day}


@blueprint.post("/credit/bans/<uuid:ban_id>/lifting", endpoint="lift_ban")
@needs("credit.keep")
def lift_ban(ban_id: UUID) -> Answer:
    """Let somebody book again."""
    form = fields("facility", "reason")
    reason = Intake(form).text("reason", longest=LONGEST_NOTE)
    with transaction() as session:
        credit.lift(session, actor=actor(), ban_id=ban_id, reason=reason, now=utc_now())
    flash(_("The ban is lifted."), "success")
    return redirect(url_for("web.facility_credit", facility=as_code(form["facility"]) or None), 303)


@blueprint.post("/credit/appeals/<uuid:entry_id>/decision", endpoint="decide_appeal")
@needs("credit.keep")
def decide_appeal(entry_id: UUID) -> Answer:
    """Give points back, or not."""
    form = fields("facility", "answer", "decision")
    code = as_code(form["facility"])
    intake = Intake(form)
    answer = intake.text("answer", longest=LONGEST_NOTE, lines=True)
    if form["decision"] not in {"grant", "deny"}:
        intake.errors["decision"] = "unknown"
    try:
        intake.demand()
        with transaction() as session:
            credit.decide(
                session,
                actor=actor(),
                entry_id=entry_id,
                grant=form["decision"] == "grant",
                answer=answer,
                now=utc_now(),
            )
    except Invalid as error:
        return _facility_page(code, status=422, errors=error.errors, labels={"answer": _("Answer")})
    except Refused as refusal:
        return _facility_page(code, status=409, reasons=sentences(refusal.reasons, "UTC"))
    flash(_("The appeal is decided; its person is being told."), "success")
    return redirect(url_for("web.facility_credit", facility=code or None), 303)


def _managed(session: object, code: str) -> Facility:
    """Give a facility that the actor may at least see at the desk; the service asks for more.

    :raises NotFound: if it is none of the actor's
    """
    return chosen_facility(facilities.managed(session, actor=actor()), as_code(code))  # type: ignore[arg-type]


# --- of all facilities ----------------------------------------------------------------------------


@blueprint.get("/credit/points", endpoint="common_points")
@needs("credit.keep_all")
def show_common_points() -> Answer:
    """Show the points that count wherever a facility has set none of its own."""
    return _common_page()


def _common_page(
    *, status: int = 200, form: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
) -> Answer:
    today = today_in(hours.zone(credit.CLOCK), utc_now())
    with reading() as session:
        in_force = credit.rules_of(session, facility_id=None, day=today)
        sources = credit.sources_of(session, facility_id=None, day=today)
        rules = credit.own_rules(session, actor=actor(), facility_id=None)
    page = render_template(
        "credit/all.html",
        in_force=in_force,
        sources=sources,
        names=list(sums.NAMES),
        coming=[row for row in rules if row.valid_from > today],
        form={"valid_from": today.isoformat()} | dict(form or {}),
        errors=said(errors or {}, _rule_labels()),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
    )
    return page, status


@blueprint.post("/credit/points", endpoint="set_common_points")
@needs("credit.keep_all")
def set_common_points() -> Answer:
    """Set the points of a deed for all facilities from a day on."""
    form = fields("deed", "points", "ban_below", "ban_days", "valid_from")
    try:
        rule = _typed_rule(form)
        with transaction() as session:
            credit.set_rule(session, actor=actor(), facility_id=None, **rule, now=utc_now())
    except Invalid as error:
        return _common_page(status=422, form=form, errors=error.errors)
    flash(_("The rule counts from that day on."), "success")
    return redirect(url_for("web.common_points"), 303)


@blueprint.post("/credit/points/end", endpoint="end_common_points")
@needs("credit.keep_all")
def end_common_points() -> Answer:
    """Let the default of the system count again."""
    form = fields("deed")
    with transaction() as session:
        credit.end_rule(session, actor=actor(), facility_id=None, name=form["deed"], now=utc_now())
    flash(_("From today on the default counts."), "success")
    return redirect(url_for("web.common_points"), 303)

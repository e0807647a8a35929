"""Standing by for a day: the odds, putting oneself on the list, being there; the facility's list and its figures."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain import standby as rules
from booking.domain.access import Subject, may
from booking.domain.rules import Invalid, Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import format_duration
from booking.i18n import gettext as _
from booking.services import facilities, instruments, projects, standby, standing_by, waitlist
from booking.web import blueprint
from booking.web.availability import lengths
from booking.web.closures import chosen_facility
from booking.web.forms import Intake, as_code, as_date, said
from booking.web.judgement import sentences
from booking.web.waitlist import Answer, state_words

USUAL_LEAST, USUAL_MOST = 60, 240
LENGTHS = (30, 60, 90, 120, 180, 240, 360, 480)
LEADS = (0, 10, 20, 30, 45, 60)
FIELDS = ("day", "least", "most", "lead", "project", "purpose")


@blueprint.get("/instruments/<code>/standby", endpoint="standby")
@needs("availability.read")
def show_standby(code: str) -> Answer:
    """Show what may be expected of standing by for a day, and the form."""
    return _page(code, {name: request.args.get(name, "") for name in FIELDS}, {})


def _page(
    code: str,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    problem: Sequence[object] = (),
    status: int = 200,
) -> Answer:
    now = utc_now()
    least = _length(typed.get("least", ""), USUAL_LEAST)
    with reading() as session:
        found = standby.outlook(
            session, actor=actor(), code=code, day=_near(typed.get("day", "")), minutes=least, now=now
        )
        own = projects.of_actor(session, actor=actor()) if actor().signed_in else []
    usual = {
        "day": found.day.isoformat(),
        "least": str(least),
        "most": str(max(USUAL_MOST, least)),
        "lead": "0",
    }
    filled = {**typed, **{name: value for name, value in usual.items() if not typed.get(name)}}
    names = {"day": _("Date"), "least": _("At least"), "most": _("At most"), "lead": _("How soon")}
    page = render_template(
        "standby/standby.html",
        found=found,
        instrument=found.instrument,
        typed=filled,
        errors=said(errors, names),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
        problem=problem,
        least_options=_lengths(least),
        most_options=_lengths(_length(filled["most"], USUAL_MOST)),
        lead_options=[(str(one), _near_words(one)) for one in LEADS],
        projects=[("", _("No project")), *((str(p.id), f"{p.code} · {p.name}") for p in own)],
        longest=waitlist.LONGEST_PURPOSE,
        enough=rules.ENOUGH,
        percent=_percent,
    )
    return page, status


def _near(typed: str) -> date | None:
    """Give the day of an address; one that makes no sense, or lies years away, is today."""
    day = as_date(typed)
    return day if day is not None and 2000 < day.year < 2200 else None


def _length(typed: str, usual: int) -> int:
    minutes = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else usual
    return minutes if 1 <= minutes <= rules.LONGEST else usual


def _lengths(chosen: int) -> list[tuple[int, str]]:
    return [pair for pair in lengths(chosen) if pair[0] in {*LENGTHS, chosen}]


def _near_words(minutes: int) -> str:
    if not minutes:
        return _("I am called only once I have said that I am there")
    return _("I can be there within %(length)s of a call", length=format_duration(minutes))


def _percent(share: float) -> str:
    """Say a share so that nobody reads certainty into it."""
    return f"{min(99, max(1, round(100 * share)))}" if 0.0 < share < 1.0 else f"{round(100 * share)}"


@blueprint.post("/instruments/<code>/standby")
@needs("waitlist.join")
def stand_by(code: str) -> Answer:
    """Put oneself on the list of a day."""
    typed = fields(*FIELDS)
    intake = Intake(typed)
    day = as_date(intake.raw("day"))
    if day is None:
        intake.errors["day"] = "malformed" if intake.raw("day") else "required"
    least = intake.whole("least", least=1, most=rules.LONGEST)
    most = intake.whole("most", least=1, most=rules.LONGEST)
    lead = intake.whole("lead", least=0, most=rules.FARTHEST)
    purpose = intake.text("purpose", longest=waitlist.LONGEST_PURPOSE, lines=True)
    project_id = intake.key("project")
    if intake.errors or day is None or least is None or most is None or lead is None:
        return _page(code, typed, intake.errors, status=422)
    try:
        with transaction() as session:
            row = instruments.by_code(session, actor=actor(), code=code)
            zone = row.facility.zone
            standing_by.stand_by(
                session,
                actor=actor(),
                instrument_id=row.id,
                day=day,
                least=least,
                most=most,
                lead=lead,
                project_id=project_id,
                purpose=purpose,
                now=utc_now(),
            )
    except Refused as refusal:
        return _page(code, typed, {}, problem=sentences(refusal.reasons, zone), status=409)
    except Invalid as error:
        return _page(code, typed, error.errors, status=422)
    flash(_("You stand by. What others leave is offered to you, here and by mail."), "success")
    return redirect(url_for("web.waitlist"), 303)


@blueprint.post("/waitlist/<uuid:entry_id>/presence", endpoint="standby_presence")
@needs("standby.ready")
def say_presence(entry_id: UUID) -> Answer:
    """Say that somebody on standby is there and ready, or no longer."""
    form = fields("here", "facility")
    try:
        with transaction() as session:
            here = form["here"] == "yes"
            standing_by.say_here(session, actor=actor(), entry_id=entry_id, here=here, now=utc_now())
    except Refused as refusal:
        for reason in sentences(refusal.reasons, ""):
            flash(reason.message, "warning")
        return _back(form["facility"])
    if not here:
        flash(_("Noted. Nobody is called who is not there."), "success")
    else:
        flash(_("Noted. Whoever is there and comes first is called as soon as something is left."), "success")
    return _back(form["facility"])


@blueprint.post("/offers/<uuid:offer_id>/next", endpoint="call_next")
@needs("standby.call")
def call_next(offer_id: UUID) -> Answer:
    """Call the next on standby, in place of somebody who does not answer."""
    form = fields("facility")
    try:
        with transaction() as session:
            standing_by.call_next(session, actor=actor(), offer_id=offer_id, now=utc_now())
    except Refused as refusal:
        for reason in sentences(refusal.reasons, ""):
            flash(reason.message, "warning")
        return _back(form["facility"])
    flash(_("The next is being called."), "success")
    return _back(form["facility"])


def _back(facility: str) -> Redirect:
    code = as_code(facility)
    if code:
        return redirect(url_for("web.facility_standby", facility=code), 303)
    return redirect(url_for("web.waitlist"), 303)


@blueprint.get("/standby/facility", endpoint="facility_standby")
@needs("facility.desk")
def show_facility_standby() -> str:
    """Show who stands by at a facility today, and what came of it lately."""
    now = utc_now()
    with reading() as session:
        facility = chosen_facility(facilities.managed(session, actor=actor()), request.args.get("facility"))
        places = standby.today(session, actor=actor(), facility_id=facility.id, now=now)
        figures = standby.figures(session, actor=actor(), facility_id=facility.id, now=now)
    subject = Subject(facility_id=facility.id)
    return render_template(
        "standby/facility.html",
        facility=facility,
        places=places,
        figures=figures,
        calls=may(actor(), "standby.call", subject),
        edits=may(actor(), "rule.edit", subject),
        state_words=state_words(),
        now=now,
    )

"""Rules of approval at a place: listed in words, asked for, ended."""

import re
from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.access import NotFound, require
from booking.domain.approvals import (
    DAY_BEGINS,
    DAY_ENDS,
    MOST_DEADLINE,
    MOST_STAGES,
    Approvers,
    Need,
    Silence,
    When,
    Who,
)
from booking.domain.chemicals import Hazard
from booking.domain.policy import PlaceKind
from booking.domain.rules import Invalid
from booking.http.forms import choices, fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import approval_rules, rules
from booking.services.approval_rules import LONGEST_NAME, LONGEST_NOTE, Line
from booking.services.rules import Where
from booking.web import blueprint
from booking.web.forms import Intake, as_code, as_date, said

Answer = str | Redirect | tuple[str, int]

FIELDS = (
    *("name", "stage", "need", "who", "people", "minutes", "cost", "opens", "closes", "deadline_days"),
    *("on_silence", "escalate_who", "escalate_people", "valid_from", "note", "off"),
)
BOXES = ("when", "permit_for")
BY_NAME, NOBODY = "people", "nobody"


@blueprint.get("/approvals/rules/<sort>/<code>", endpoint="approval_rules")
@needs("rule.edit")
def show_approval_rules(sort: str, code: str) -> Answer:
    """Show which steps of approval a place asks for, and the form of one more."""
    return _page(sort, code)


@blueprint.post("/approvals/rules/<sort>/<code>")
@needs("rule.edit")
def add_approval_rule(sort: str, code: str) -> Answer:
    """Ask for a step of approval at a place."""
    form = fields(*FIELDS, many=BOXES)
    intake = Intake(form)
    first = as_date(form["valid_from"]) if form["valid_from"] else None
    if form["valid_from"] and first is None:
        intake.errors["valid_from"] = "malformed"
    name = intake.text("name", longest=LONGEST_NAME)
    note = intake.text("note", longest=LONGEST_NOTE)
    off = bool(form["off"])
    try:
        with transaction() as session:
            at = _where(session, sort, code)
            require(actor(), "rule.edit", at.subject)
            data = {} if off else _data(session, intake)
            if intake.errors:
                raise Invalid(intake.errors)  # noqa: TRY301 - told with what the service finds
            approval_rules.add(
                session,
                actor=actor(),
                at=at,
                name=name,
                data=data,
                off=off,
                valid_from=first,
                note=note,
                now=utc_now(),
            )
    except Invalid as error:
        return _page(sort, code, form, _named(error.errors), 422)
    flash(_("The rule is set."), "success")
    return redirect(url_for("web.approval_rules", sort=sort, code=code), 303)


@blueprint.post("/approvals/rules/<int(max=9223372036854775807):rule_id>/end")
@needs("rule.edit")
def end_approval_rule(rule_id: int) -> Answer:
    """Ask for a step no more; requests that wait for it still do."""
    fields()
    with transaction() as session:
        at = approval_rules.end(session, actor=actor(), rule_id=rule_id, now=utc_now())
    flash(_("The rule has ended."), "success")
    return redirect(url_for("web.approval_rules", sort=at.kind.value, code=at.code), 303)


def _where(session: Session, sort: str, code: str) -> Where:
    if sort not in {"instrument", "facility", "network", "category"}:
        raise NotFound("place", sort)
    return rules.where(session, actor=actor(), kind=PlaceKind(sort), code=as_code(code))


def _data(session: Session, intake: Intake) -> dict[str, Any]:
    """Read the form into the data of a rule; what makes no sense of it goes into the intake's errors."""
    form = intake.typed
    data: dict[str, Any] = {
        "stage": intake.whole("stage", least=1, most=MOST_STAGES, default=1),
        "need": form["need"] or Need.ANY.value,
        "on_silence": form["on_silence"] or Silence.EXPIRE.value,
        "when": _conditions(intake),
        "permit_for": choices("permit_for"),
    }
    if form["deadline_days"].strip():
        data["deadline_days"] = intake.whole("deadline_days", least=1, most=MOST_DEADLINE)
    if form["who"] != NOBODY:
        data["approvers"] = _whom(session, intake, "who", "people")
    if form["on_silence"] == Silence.ESCALATE.value:
        data["escalate_to"] = _whom(session, intake, "escalate_who", "escalate_people")
    return data


def _whom(session: Session, intake: Intake, role: str, people: str) -> dict[str, Any] | None:
    if intake.typed[role] != BY_NAME:
        return {"role": intake.typed[role] or Who.MANAGER.value}
    words = [word for word in re.split(r"[\s,;，；]+", intake.typed[people]) if word]
    if not words:
        intake.errors[people] = "required"
        return None
    try:
        return approval_rules.people_called(session, words, field=people).told()
    except Invalid as error:
        intake.errors |= error.errors
        return None


def _conditions(intake: Intake) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for word in choices("when"):
        one: dict[str, Any] = {"condition": word}
        if word == When.OVER_MINUTES.value:
            hours = intake.whole("minutes", least=1, most=9600)
            one["value"] = (hours or 0) * 60
        elif word == When.OVER_COST.value:
            one["value"] = intake.whole("cost", least=0, most=10**9) or 0
        elif word == When.OUTSIDE_HOURS.value:
            one |= {"opens": _minute(intake, "opens"), "closes": _minute(intake, "closes")}
        found.append(one)
    return found


def _minute(intake: Intake, name: str) -> int:
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", intake.raw(name), re.ASCII)
    if found is None or int(found[2]) > 59 or int(found[1]) > 24:
        intake.errors[name] = "malformed" if intake.raw(name) else "required"
        return 0
    return int(found[1]) * 60 + int(found[2])


def _named(errors: Mapping[str, str]) -> dict[str, str]:
    """Lead what the service calls wrong to the form's own fields."""
    names = {"approvers": "who", "escalate_to": "escalate_who"}
    return {names.get(name, name): code for name, code in errors.items()}


def _page(
    sort: str,
    code: str,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Answer:
    now = utc_now()
    with reading() as session:
        at = _where(session, sort, code)
        require(actor(), "rule.edit", at.subject)
        lines = approval_rules.listing(session, at=at, today=rules.day_at(at, now))
    start = {"opens": _clock(DAY_BEGINS), "closes": _clock(DAY_ENDS), "stage": "1"}
    page = render_template(
        "approvals/rules.html",
        at=at,
        lines=[_line(line) for line in lines],
        typed={**dict.fromkeys(FIELDS, ""), **start, **(typed or {})},
        when=set(choices("when")),
        permit_for=set(choices("permit_for")),
        errors=said(errors or {}, _labels()),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        conditions=[(one.value, _condition_name(one)) for one in When if one is not When.ALWAYS],
        hazards=[(one.value, wording.hazard_name(one)) for one in Hazard],
        whos=[(one.value, wording.role_of_approvers(one)) for one in Who] + [(BY_NAME, _("People by name"))],
        nobody=(NOBODY, _("Nobody: only permits are asked for")),
        needs_of=[(Need.ANY.value, _("One of them")), (Need.ALL.value, _("All of them"))],
        silences=[(one.value, _silence_name(one)) for one in Silence],
    )
    return page, status


def _line(line: Line) -> dict[str, Any]:
    return {"id": line.rule.id, "name": line.rule.name, "words": words_of(line), "rule": line.rule}


def words_of(line: Line) -> list[str]:
    """Say what a rule of approval asks for, piece by piece."""
    step = line.step
    if step is None:
        return [_("Not asked for here")]
    words = [_("Stage %(stage)s", stage=step.stage)] if step.stage > 1 else []
    if step.approvers is not None:
        who = _whom_words(step.approvers, line.people)
        words.append(
            _("all of: %(who)s", who=who) if step.need is Need.ALL else _("one of: %(who)s", who=who)
        )
        words.append(
            _(
                "asked for: %(when)s",
                when=wording.joined(map(wording.condition_sentence, (c.told() for c in step.when))),
            )
        )
    if step.permit_for:
        names = wording.joined(wording.hazard_name(one) for one in sorted(step.permit_for))
        words.append(_("a permit's number is wanted for: %(hazards)s", hazards=names))
    if step.deadline_days:
        words.append(_("due after %(days)s working days", days=step.deadline_days))
        words.append(_silence_name(step.on_silence))
        if step.escalate_to:
            words.append(_("then: %(who)s", who=_whom_words(step.escalate_to, line.people)))
    return words


def _whom_words(whom: Approvers, people: Mapping[Any, str]) -> str:
    if whom.role is not None:
        return wording.role_of_approvers(whom.role)
    return wording.joined(people.get(person, "?") for person in whom.people)


def _silence_name(silence: Silence) -> str:
    return {
        Silence.EXPIRE: _("silence ends the request"),
        Silence.ESCALATE: _("silence is taken to others"),
        Silence.APPROVE: _("silence counts as a yes"),
    }[silence]


def _condition_name(when: When) -> str:
    return {
        When.OUTSIDE_HOURS: _("Outside working hours"),
        When.OVER_MINUTES: _("Longer than so many hours"),
        When.HAZARDOUS: _("Dangerous chemicals are declared"),
        When.EXTERNAL: _("A customer from outside"),
        When.FIRST_USE: _("First use of the instrument"),
        When.OVER_COST: _("Costs more than so many yuan"),
        When.PERMIT: _("There is a permit to be checked"),
    }[when]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _labels() -> dict[str, str]:
    return {
        "name": _("Name of the step"),
        "stage": _("Stage"),
        "who": _("Who decides"),
        "people": _("Their e-mail addresses"),
        "minutes": _("Hours"),
        "cost": _("Yuan"),
        "opens": _("Working hours from"),
        "closes": _("Working hours to"),
        "deadline_days": _("Working days to answer"),
        "escalate_who": _("To whom silence is taken"),
        "escalate_people": _("Their e-mail addresses"),
        "valid_from": _("From"),
        "note": _("Note"),
    }

"""Rules: what counts for an instrument and why, the rules of a place, setting and ending them, trying them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import policy
from booking.domain.access import NotFound, require
from booking.domain.occupation import Item
from booking.domain.policy import SETTINGS, Figure, PlaceKind, RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.quotas import Measure, Party, Period
from booking.domain.rules import Invalid, Reason
from booking.domain.spans import Span
from booking.domain.working_days import DayKind
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import bookings, instruments, policies, rules
from booking.services.rules import LONGEST_NOTE, MOST_QUOTA, Draft, Trial, Where
from booking.web import blueprint
from booking.web.forms import Intake, as_code, said
from models import Rule

Answer = str | Redirect | tuple[str, int]

WEEKDAYS = tuple(f"weekday_{day}" for day in range(7))
FIELDS = (
    *("what", "value", "answer", "period", "days", "customer_class", "day_kind", *WEEKDAYS),
    *("opens", "closes", "valid_from", "valid_to", "note", "try"),
)

YES_NO = tuple(name for name, setting in SETTINGS.items() if setting.figure is Figure.YES_NO)
"""Settings that are chosen, not typed."""

_AMOUNT = re.compile(
    r"(\d{1,9}(?:[.,]\d{1,2})?)\s*(d|days?|天|h|hours?|小时|m|min|minutes?|分钟)?", re.IGNORECASE
)
_UNITS = {"d": 24 * 60, "天": 24 * 60, "h": 60, "小": 60, "m": 1, "分": 1}


@blueprint.get("/instruments/<code>/rules", endpoint="rules_of_instrument")
@needs("rule.read")
def show_of_instrument(code: str) -> Answer:
    """Show every setting of an instrument as it counts for the reader, where it comes from, and all rules."""
    who, now = actor(), utc_now()
    with reading() as session:
        row = instruments.by_code(session, actor=who, code=as_code(code))
        lines, found = rules.explain(session, instrument=row, person_id=who.person_id, start=now)
        levels = rules.levels(session, instrument=row, person_id=who.person_id, start=now)
        wheres = {rule.place: rules.where_of(session, rule.place) for rule in found}
        here = rules.where(session, actor=who, kind=PlaceKind.INSTRUMENT, code=row.code)
        years = policies.unannounced(session, [Item(row.id, Span(now, now))], {row.id: row})
        next_year = policies.unannounced(
            session, [Item(row.id, Span(_new_year(now), _new_year(now)))], {row.id: row}
        )
    return render_template(
        "rules/instrument.html",
        instrument=row,
        lines=lines,
        levels=[(kind.value, place_words()[kind], said) for kind, said in levels.items() if said],
        wheres={rule.id: wheres[rule.place] for rule in found},
        rows=[(rule, wheres[rule.place]) for rule in found],
        here=here,
        editable=rules.editable(who, here),
        unannounced=sorted({*years, *next_year}),
        words=_words(),
    )


def place_words() -> dict[PlaceKind, str]:
    """Name the levels at which rules stand."""
    return {
        PlaceKind.NETWORK: _("Network"),
        PlaceKind.FACILITY: _("Facility"),
        PlaceKind.CATEGORY: _("Class"),
        PlaceKind.SHEET: _("Its sheet"),
        PlaceKind.INSTRUMENT: _("Its own rules"),
    }


def _new_year(now: datetime) -> datetime:
    return now.replace(year=now.year + 1, month=1, day=2)


@blueprint.get("/rules/<sort>/<code>", endpoint="rules")
@needs("rule.read")
def show_rules(sort: str, code: str) -> Answer:
    """Show the rules of a place: those in force and to come, then those that are over."""
    now = utc_now()
    with reading() as session:
        at = _where(session, sort, code)
        rows = rules.listing(session, place=at.place)
    today = rules.day_at(at, now)
    over = [row for row in rows if row.valid_to is not None and row.valid_to <= today]
    return render_template(
        "rules/place.html",
        at=at,
        rows=[(policies.as_rule(row), row) for row in rows if row not in over],
        over=[(policies.as_rule(row), row) for row in over],
        editable=rules.editable(actor(), at),
        today=today,
        words=_words(),
    )


@blueprint.get("/rules/<sort>/<code>/new", endpoint="new_rule")
@needs("rule.edit")
def show_new(sort: str, code: str) -> Answer:
    """Show the form of a new rule."""
    with reading() as session:
        at = _where(session, sort, code)
    require(actor(), "rule.edit", at.subject)
    typed = {name: request.args.get(name, "") for name in FIELDS}
    typed["what"] = typed["what"] or "longest"
    typed["valid_from"] = rules.day_at(at, utc_now()).isoformat()
    return _form(at, typed, {})


@blueprint.post("/rules/<sort>/<code>/new", endpoint="add_rule")
@needs("rule.edit")
def add_rule(sort: str, code: str) -> Answer:
    """Set a rule; or only try it on last month's bookings."""
    typed, now = fields(*FIELDS), utc_now()
    with reading() as session:
        at = _where(session, sort, code)
    intake = Intake(typed)
    draft = _draft(intake)
    if intake.errors:
        return _form(at, typed, intake.errors, status=422)
    try:
        if typed["try"]:
            with reading() as session:
                found = rules.trial(session, actor=actor(), at=at, draft=draft, now=now)
            return _form(at, typed, {}, trial=found)
        with transaction() as session:
            rules.add(session, actor=actor(), at=at, draft=draft, now=now)
    except Invalid as error:
        return _form(at, typed, _named(error.errors), status=422)
    flash(_("The rule is set."), "success")
    return redirect(url_for("web.rules", sort=sort, code=code), 303)


@blueprint.get("/rules/<int(max=9223372036854775807):rule_id>/change", endpoint="change_rule")
@needs("rule.edit")
def show_change(rule_id: int) -> Answer:
    """Show the form that gives a rule another value or end."""
    with reading() as session:
        row, at = _row(session, rule_id)
    return _change_form(row, at, _typed(row), {})


@blueprint.post("/rules/<int(max=9223372036854775807):rule_id>/change", endpoint="submit_rule")
@needs("rule.edit")
def submit_rule(rule_id: int) -> Answer:
    """Change a rule, or try its new value on last month's bookings."""
    typed, now = fields("value", "valid_to", "note", "try"), utc_now()
    with reading() as session:
        row, at = _row(session, rule_id)
    intake = Intake(typed)
    value = _value(intake, row.name if row.kind is RuleKind.SETTING else "", row.data.get("measure", ""))
    changes = {
        "value": value,
        "valid_to": _day(intake, "valid_to"),
        "note": intake.text("note", longest=LONGEST_NOTE, lines=True),
    }
    if intake.errors:
        return _change_form(row, at, typed, intake.errors, status=422)
    try:
        if typed["try"]:
            draft = replace(rules.draft_of(row), value=value)
            with reading() as session:
                found = rules.trial(session, actor=actor(), at=at, draft=draft, now=now)
            return _change_form(row, at, typed, {}, trial=found)
        with transaction() as session:
            rules.change(session, actor=actor(), rule_id=rule_id, changes=changes, now=now)
    except Invalid as error:
        return _change_form(row, at, typed, _named(error.errors), status=422)
    flash(_("The rule is changed from today on."), "success")
    return redirect(url_for("web.rules", sort=at.kind.value, code=at.code), 303)


@blueprint.post("/rules/<int(max=9223372036854775807):rule_id>/end", endpoint="end_rule")
@needs("rule.edit")
def end_rule(rule_id: int) -> Answer:
    """End a rule today."""
    fields()
    with transaction() as session:
        at = _row(session, rule_id)[1]
        rules.end(session, actor=actor(), rule_id=rule_id, now=utc_now())
    flash(_("The rule no longer counts."), "success")
    return redirect(url_for("web.rules", sort=at.kind.value, code=at.code), 303)


def _where(session: Session, sort: str, code: str) -> Where:
    if sort not in {"instrument", "facility", "network", "category"}:
        raise NotFound("place", sort)
    return rules.where(session, actor=actor(), kind=PlaceKind(sort), code=as_code(code))


def _row(session: Session, rule_id: int) -> tuple[Rule, Where]:
    """Give a rule that the actor may change, with its place.

    :raises NotFound: if there is none
    :raises Forbidden: if the actor may not change the rules of its place
    """
    row = rules.get(session, rule_id=rule_id)
    at = rules.where_of(session, policies.place_of(row))
    require(actor(), "rule.edit", at.subject)
    if row.kind not in (RuleKind.SETTING, RuleKind.QUOTA):
        raise NotFound("rule", rule_id)  # kept on pages of their own
    return row, at


# --- what is typed --------------------------------------------------------------------------------


def _draft(intake: Intake) -> Draft:
    what = intake.raw("what")
    name, _colon, rest = what.partition(":")
    days = None
    shared = {
        "customer_class": intake.choice("customer_class", CustomerClass)
        if intake.raw("customer_class")
        else None,
        "day_kind": intake.choice("day_kind", DayKind) if intake.raw("day_kind") else None,
        "weekdays": sum(1 << day for day, field in enumerate(WEEKDAYS) if intake.raw(field)) or None,
        "opens": _minute(intake, "opens"),
        "closes": _minute(intake, "closes"),
        "valid_from": _day(intake, "valid_from"),
        "valid_to": _day(intake, "valid_to"),
        "note": intake.text("note", longest=LONGEST_NOTE, lines=True),
    }
    if name != "quota":
        if name not in SETTINGS:
            intake.errors["what"] = "unknown"
        return Draft(RuleKind.SETTING, name, _value(intake, name, ""), **shared)  # type: ignore[arg-type]
    party, _dot, measure = rest.partition(".")
    if party not in set(Party) or measure not in set(Measure):
        intake.errors["what"] = "unknown"
        return Draft(RuleKind.QUOTA)
    period = intake.choice("period", Period)
    if period is Period.ROLLING:
        days = intake.whole("days", least=1, most=366)
    return Draft(
        RuleKind.QUOTA,
        value=_value(intake, "", measure),
        party=Party(party),
        measure=Measure(measure),
        period=period,
        days=days,
        **shared,  # type: ignore[arg-type]
    )


def _value(intake: Intake, name: str, measure: str) -> int | None:
    """Read a figure such as 90, 90 min, 2 h, 3 d or yes; nothing is no limit."""
    if name in YES_NO:
        return _yes_or_no(intake)
    raw, setting = intake.raw("value"), SETTINGS.get(name)
    if not raw:
        return None
    found = _AMOUNT.fullmatch(raw)
    counts = measure == Measure.BOOKINGS or (setting is not None and setting.figure is Figure.NUMBER)
    if found is None or (counts and found[2]):
        intake.errors["value"] = "malformed"
        return None
    amount = Decimal(found[1].replace(",", "."))
    unit = 1 if counts or not found[2] else _UNITS[found[2][0].lower()]
    value = amount * unit
    if value != int(value):
        intake.errors["value"] = "malformed"
    elif value > MOST_QUOTA:
        intake.errors["value"] = "too_large"
    else:
        return int(value)
    return None


def _yes_or_no(intake: Intake) -> int | None:
    """Read an answer, chosen in its own field or typed where other settings have their figure."""
    field = "answer" if "answer" in intake.typed else "value"
    raw = (intake.raw(field) or intake.raw("value")).lower()
    known = {"yes": 1, "no": 0, "是": 1, "否": 0, "1": 1, "0": 0}
    if raw not in known:
        intake.errors[field] = "unknown" if raw else "required"
    return known.get(raw)


def _minute(intake: Intake, name: str) -> int | None:
    raw = intake.raw(name)
    if not raw:
        return None
    found = re.fullmatch(r"(\d{1,2}):(\d{2})(?::00)?", raw, re.ASCII)
    minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    if found is None or not 0 <= minutes <= 24 * 60 or int(found[2]) > 59:
        intake.errors[name] = "malformed"
        return None
    # A clock knows no 24:00, and a band that ends at midnight ends with the day.
    return 24 * 60 if name == "closes" and minutes == 0 else minutes


def _day(intake: Intake, name: str) -> date | None:
    raw = intake.raw(name)
    if not raw:
        return None
    try:
        return date.fromisoformat(raw)
    except ValueError:
        intake.errors[name] = "malformed"
        return None


def _named(errors: Mapping[str, str]) -> dict[str, str]:
    """Give the errors of a rule by the fields of the form."""
    own = {"name": "what", "kind": "what", "party": "what", "measure": "what", "weekdays": "weekday_0"}
    return {own.get(name, name): code for name, code in errors.items()}


def _typed(row: Rule) -> dict[str, str]:
    return {
        "value": figure(policies.as_rule(row), typed=True),
        "valid_to": row.valid_to.isoformat() if row.valid_to else "",
        "note": row.note,
    }


# --- words ----------------------------------------------------------------------------------------


def _form(
    at: Where,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    trial: Trial | None = None,
    status: int = 200,
) -> Answer:
    labels = {
        "what": _("What it says"),
        "value": _("Value"),
        "answer": _("Allowed or not"),
        "period": _("In each"),
        "days": _("Days"),
        "opens": _("From"),
        "closes": _("Until"),
        "valid_from": _("Counts from"),
        "valid_to": _("Counts until"),
        "note": _("Note"),
    }
    settings = [(name, setting_word(name)) for name in SETTINGS]
    limits = [
        (f"quota:{party.value}.{measure.value}", _limit_word(party.value, measure.value))
        for party in Party
        for measure in Measure
    ]
    page = render_template(
        "rules/new.html",
        at=at,
        typed=typed,
        errors=said(errors, labels),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
        labels=labels,
        whats=[(_("Settings"), settings), (_("Limits over time"), limits)],
        periods=[(period.value, period_word(period.value)) for period in Period],
        classes=[("", _("Everybody")), *((one.value, class_word(one.value)) for one in CustomerClass)],
        day_kinds=[("", _("Every day")), *((one.value, day_word(one.value)) for one in DayKind)],
        yes_no=YES_NO,
        answers=_answers(),
        weekdays=list(zip(WEEKDAYS, weekday_words(), strict=True)),
        trial=trial,
        seen=_seen(trial),
        words=_words(),
    )
    return page, status


def _seen(trial: Trial | None) -> set[UUID]:
    """Give the bookings of a trial that the reader may see; of others only the time is told."""
    found = trial.refused if trial else ()
    return {one.booking.id for one in found if bookings.may_on(actor(), "booking.see", one.booking)}


def _change_form(
    row: Rule,
    at: Where,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    trial: Trial | None = None,
    status: int = 200,
) -> Answer:
    labels = {"value": _("Value"), "valid_to": _("Counts until"), "note": _("Note")}
    page = render_template(
        "rules/change.html",
        rule=policies.as_rule(row),
        row=row,
        at=at,
        typed=typed,
        errors=said(errors, labels),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
        labels=labels,
        yes_no=YES_NO,
        answers=_answers(),
        trial=trial,
        seen=_seen(trial),
        words=_words(),
    )
    return page, status


def _answers() -> list[tuple[str, str]]:
    return [("yes", _("allowed")), ("no", _("not allowed"))]


def _words() -> SimpleNamespace:
    """Give what templates ask for."""
    return SimpleNamespace(
        figure=figure,
        value=value_word,
        name=rule_word,
        setting=setting_word,
        when=when_word,
        sentence=_sentence,
    )


def _sentence(reason: Reason, zone: str) -> str:
    return wording.sentence(reason.code, {"zone": zone, **reason.params})


def rule_word(rule: policy.Rule) -> str:
    """Name what a rule says."""
    if rule.kind is RuleKind.SETTING:
        return setting_word(rule.name)
    if rule.kind is RuleKind.QUOTA:
        limit = _limit_word(rule.data["party"], rule.data["measure"])
        return _(
            "%(limit)s, %(period)s",
            limit=limit,
            period=period_word(rule.data["period"], rule.data.get("days")),
        )
    if rule.kind is RuleKind.QUALIFICATION:
        return _("Qualification %(name)s", name=rule.name)
    return _("Approval %(name)s", name=wording.approval_name(rule.name))


def setting_word(name: str) -> str:
    """Name a setting."""
    return {
        "step": _("Step of start and length"),
        "shortest": _("Shortest use"),
        "longest": _("Longest use"),
        "notice": _("Notice of a booking"),
        "notice_to_change": _("Notice of a change"),
        "notice_to_cancel": _("Notice of giving up"),
        "horizon": _("How far ahead one may book"),
        "horizon_to_change": _("How far ahead one may move"),
        "setup": _("Set-up before each use"),
        "cleanup": _("Clean-up after each use"),
        "gap": _("Gap between two bookings of one person"),
        "concurrent": _("Bookings ahead for each person"),
        "grace": _("How late one may come"),
        "late_allowed": _("Whether latecomers may still begin"),
        "tolerance": _("Minutes that are neither late, early nor over time"),
        "overtime_limit": _("How long after the end one is taken as gone"),
        "late_cancellation": _("How near to the start giving up costs points"),
        "offer_minutes": _("How long an offer of the waitlist stands"),
        "standby": _("Whether one may stand by for a day"),
    }.get(name, name)


def _limit_word(party: str, measure: str) -> str:
    return {
        ("person", "hours"): _("Hours of each person"),
        ("person", "bookings"): _("Bookings of each person"),
        ("project", "hours"): _("Hours of each project"),
        ("project", "bookings"): _("Bookings of each project"),
        ("organisation", "hours"): _("Hours of each organisation"),
        ("organisation", "bookings"): _("Bookings of each organisation"),
    }[party, measure]


def period_word(period: str, days: int | None = None) -> str:
    """Name a period."""
    if period == "rolling" and days:
        return _("in any %(days)s days", days=days)
    return {
        "day": _("in a day"),
        "week": _("in a week"),
        "month": _("in a month"),
        "rolling": _("in any so many days"),
    }[period]


def class_word(name: str) -> str:
    """Name a class of customers."""
    return {"internal": _("The operator's own people"), "external": _("People from outside")}[name]


def day_word(name: str) -> str:
    """Name a sort of day."""
    return {
        "working": _("Working days, shifted ones too"),
        "rest": _("Weekends and days off"),
        "holiday": _("Public holidays"),
    }[name]


def weekday_words() -> Sequence[str]:
    """Name the days of the week."""
    return (
        *(_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday")),
        *(_("Saturday"), _("Sunday")),
    )


def when_word(rule: policy.Rule) -> str:
    """Say for whom and when a rule is meant; nothing where it is for all."""
    parts = []
    if rule.customer_class is not None:
        parts.append(class_word(rule.customer_class.value))
    if rule.day_kind is not None:
        parts.append(day_word(rule.day_kind.value))
    if rule.weekdays is not None:
        parts += [word for day, word in enumerate(weekday_words()) if rule.weekdays >> day & 1]
    if rule.opens is not None and rule.closes is not None:
        parts.append(
            f"{rule.opens // 60:02}:{rule.opens % 60:02}–{rule.closes // 60:02}:{rule.closes % 60:02}"
        )
    return wording.joined(parts)


def figure(rule: policy.Rule, *, typed: bool = False) -> str:
    """Say the value of a rule, or write it as one would type it."""
    if rule.kind is RuleKind.SETTING:
        return _as_typed(rule.name, rule.value) if typed else value_word(rule.name, rule.value)
    if rule.kind is not RuleKind.QUOTA:
        return ""
    if rule.value is None:
        return "" if typed else _("no limit")
    if rule.data["measure"] == Measure.BOOKINGS:
        return str(rule.value)
    return _("%(hours)s h", hours=wording.hours(rule.value)) if not typed else _length(rule.value)


def value_word(name: str, value: int | None) -> str:
    """Say the value of a setting."""
    if value is None:
        return _("no limit")
    match SETTINGS[name].figure:
        case Figure.YES_NO:
            return _("allowed") if value else _("not allowed")
        case Figure.NUMBER:
            return str(value)
        case _:
            return wording.duration(value) if value else _("none")


def _as_typed(name: str, value: int | None) -> str:
    if value is None:
        return ""
    match SETTINGS[name].figure:
        case Figure.YES_NO:
            return "yes" if value else "no"
        case Figure.NUMBER:
            return str(value)
        case _:
            return _length(value)


def _length(minutes: int) -> str:
    for unit, size in (("d", 24 * 60), ("h", 60)):
        if minutes and minutes % size == 0:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"

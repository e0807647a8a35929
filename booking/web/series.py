"""Series: the form with a verdict and a choice for every date, the page of one, and what can be done to it."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking.db import Session, reading, transaction
from booking.domain import hours, recurrence
from booking.domain.access import Forbidden, NotFound, Subject, may
from booking.domain.chemicals import told
from booking.domain.occupation import Item
from booking.domain.recurrence import Pattern, Rule
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.http.forms import choices as boxes
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.idempotency import fingerprint
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import ngettext
from booking.services import (
    acting,
    availability,
    bookings,
    instruments,
    policies,
    projects,
    series,
    series_approvals,
)
from booking.services.bookings import KeyReused, Stale
from booking.services.series import Edit, Otherwise, Plan, Preview, Scope, Whole
from booking.services.series_dates import Choice
from booking.web import blueprint, chemicals
from booking.web.booking_form import CHEMICAL_FIELDS, others_for
from booking.web.bookings import version_of
from booking.web.forms import (
    LONGEST_CODE,
    LONGEST_NOTE,
    LONGEST_TEXT,
    MOST_UNITS,
    Intake,
    as_code,
    labels,
    said,
    typed_local,
    typed_span,
)
from booking.web.judgement import sentences
from booking.web.repetition import (
    RULE_FIELDS,
    Line,
    Repeats,
    clock_notes,
    codes_in,
    day_words,
    defaults,
    lines,
    repeats_words,
    rule_words,
    said_errors,
    shape,
    shown_dates,
    typed_choices,
    typed_days,
    typed_now,
    typed_rule,
    why_words,
)
from booking.web.series_beside import beside
from models import Instrument, Series

Answer = str | Response | Redirect | tuple[str, int]

LONGEST_ADDRESS = 254
SPAN_FIELDS = ("start_date", "start_time", "end_date", "end_time")
WHAT_FIELDS = (*SPAN_FIELDS, "quantity", *RULE_FIELDS)
"""What decides which dates there are; a table is of these."""

BOX_FIELDS = chemicals.box_names(chemicals.ROWS)
NEW_FIELDS = (
    "instrument",
    *WHAT_FIELDS,
    *(
        "purpose",
        "project",
        "booked_for",
        "confidential",
        "shown",
        "key",
        "seen",
        "check",
        "repeat",
        "override_reason",
        "free_only",
    ),
)


@dataclass(frozen=True)
class _Typed:
    """What a form says, understood; `plan` is None where something of it was not."""

    typed: Mapping[str, str]
    plan: Plan | None
    purpose: str
    confidential: bool | None
    errors: Mapping[str, str]


# --- a new one ------------------------------------------------------------------------------------


@blueprint.get("/series/new", endpoint="new_series")
@needs("booking.place")
def show_new_series() -> Answer:
    """Show the form; with a time in the address it already shows every date with its verdict."""
    code = as_code(request.args.get("instrument"))
    if not code:
        return redirect(url_for("web.catalogue"), 303)
    now = utc_now()
    with reading() as session:
        instrument = instruments.by_code(session, actor=actor(), code=code)
        typed = _from_address(session, instrument, now)
        return _show(session, typed, instrument, now)


@blueprint.post("/series/new")
@needs("booking.place")
def place_series() -> Answer:
    """Book all dates; or show them with their verdicts. What was not shown yet is shown first."""
    typed = _sent((*NEW_FIELDS, *CHEMICAL_FIELDS), BOX_FIELDS)
    now = utc_now()
    with reading() as session:
        instrument = instruments.by_code(session, actor=actor(), code=as_code(typed["instrument"]))
        typed = _completed(session, typed, instrument)
        form = _read(session, typed, instrument)
        asked = typed["check"] or typed["repeat"]
        if asked or typed["seen"] != _mark(typed) or form.plan is None:
            return _show(session, typed, instrument, now, again=not asked and bool(typed["seen"]))
    plan = replace(form.plan, otherwise=_otherwise(typed), override=typed["override_reason"])
    try:
        with transaction() as session:
            row = series.place(
                session,
                actor=actor(),
                plan=plan,
                purpose=form.purpose,
                confidential=form.confidential,
                key=_key(typed),
                fingerprint=fingerprint(
                    {**typed, "key": "", "seen": "", "chemicals": [told(one) for one in plan.chemicals]}
                ),
                now=now,
            )
            series_id = row.id
    except Refused as refusal:
        with reading() as session:
            return _show(session, typed, instrument, now, refusal=refusal)
    except KeyReused:
        with reading() as session:
            return _show(session, {**typed, "key": _fresh_key()}, instrument, now, used=True)
    except Invalid as error:
        with reading() as session:
            return _show(session, typed, instrument, now, errors=error.errors)
    flash(_("The series is booked."), "success")
    return redirect(url_for("web.series", series_id=series_id), 303)


def _otherwise(typed: Mapping[str, str]) -> Otherwise:
    return Otherwise.SKIP if typed["free_only"] else Otherwise.REFUSE


def _exceptional(found: Preview | None, facility_id: int) -> bool:
    """Tell whether the reader may set aside the rules that stand against some date."""
    overrides = may(actor(), "rule.override", Subject(facility_id=facility_id))
    return overrides and found is not None and any(one.exceptional for one in found.dates)


def _sent(names: Sequence[str], many: Sequence[str] = ()) -> dict[str, str]:
    """Read the form, with the choices for single dates, whose fields bear their day in the name."""
    choices = [name for name in request.form if name.startswith("choice-")][: recurrence.MOST_DATES]
    # The form of a single booking asks for more than a series has; of it only what is shared is taken.
    others = list(request.form) if request.form.get("repeat") else []
    return fields(*names, *choices, many=(*many, *others))


def _from_address(session: Session, instrument: Instrument, now: datetime) -> dict[str, str]:
    given = {name: request.args.get(name, "") for name in NEW_FIELDS if name not in {"key", "seen"}}
    zone = hours.zone(instrument.facility.zone)
    for name in ("start", "end"):
        if request.args.get(name):
            given |= typed_local(name, request.args[name], zone)
    if not any(given[name] for name in SPAN_FIELDS):
        found = availability.next_free(
            session, instrument_ids=[instrument.id], now=now, person_id=actor().person_id
        )
        if (span := found[instrument.id]) is not None:
            given |= typed_span(span, zone)
    return _completed(
        session, given | {"key": "", "seen": "", "check": "", "repeat": "", "free_only": ""}, instrument
    )


def _completed(session: Session, typed: Mapping[str, str], instrument: Instrument) -> dict[str, str]:
    """Fill in what a form that comes from elsewhere does not say."""
    full = defaults(typed, Intake(typed).day("start_date"))
    full["quantity"] = full["quantity"] or "1"
    full["key"] = full["key"] or _fresh_key()
    if not full["shown"]:
        hidden = bookings.confidential_by_default(session, actor=actor(), instrument=instrument)
        full |= {"shown": "1", "confidential": "1" if hidden else ""}
    return full


def _fresh_key() -> str:
    return secrets.token_urlsafe(16)


def _key(typed: Mapping[str, str]) -> str:
    key = typed["key"]
    return key if 0 < len(key) <= LONGEST_CODE and key.isascii() and key.isprintable() else _fresh_key()


def _mark(typed: Mapping[str, str]) -> str:
    """Give a mark of what decides about the dates; a table bears that of the form that it was made for."""
    names = (*WHAT_FIELDS, "instrument", "project", "booked_for", *CHEMICAL_FIELDS)
    what = {name: typed.get(name, "").strip() for name in names}
    return fingerprint(what | {name: " ".join(sorted(boxes(name))) for name in BOX_FIELDS})[:16]


def _read(session: Session, typed: Mapping[str, str], instrument: Instrument) -> _Typed:
    intake = Intake(typed)
    zone = hours.zone(instrument.facility.zone)
    span = intake.span(zone)
    first_day, minute = intake.day("start_date"), intake.minute("start_time")
    quantity = intake.whole("quantity", least=1, most=MOST_UNITS, default=1)
    rule = typed_rule(intake, first_day) if first_day is not None else None
    excluded = typed_days(intake, "excluded")
    purpose = intake.text("purpose", longest=LONGEST_TEXT, lines=True)
    project_id = intake.key("project")
    own = {project.id for project in projects.of_actor(session, actor=actor())}
    if project_id is not None and project_id not in own:
        intake.errors["project"] = "unknown"
    booked_for = None
    if named := intake.text("booked_for", longest=LONGEST_ADDRESS):
        try:
            booked_for = acting.person_called(session, named)
        except Invalid as error:
            intake.errors |= error.errors
    declared, mistakes = chemicals.read(typed, most=chemicals.ROWS)
    intake.errors |= mistakes
    plan = None
    if not intake.errors and None not in (span, first_day, minute, quantity, rule):
        plan = Plan(
            instrument_id=instrument.id,
            pattern=Pattern(rule, first_day, minute, int(span.minutes), excluded),
            quantity=quantity,
            project_id=project_id,
            booked_for=booked_for,
            chemicals=declared,
            choices=_choices(session, typed, instrument.facility.zone),
        )
        plan, more = _sensible(plan, instrument.facility.zone)
        intake.errors |= more
    confidential = bool(typed["confidential"]) if typed["shown"] else None
    return _Typed(intake.typed, plan, purpose, confidential, intake.errors)


_FIELD_OF = {"start": "start_time", "length": "end_time", "first_day": "start_date", "rule": "count"}


def _sensible(plan: Plan, zone: str) -> tuple[Plan | None, dict[str, str]]:
    """Drop choices for days that the rule no longer gives; tell what else makes no sense by the form's fields."""
    try:
        days = {one.day for one in recurrence.occurrences(plan.pattern, hours.zone(zone))}
    except Invalid as error:
        return None, {_FIELD_OF.get(name, name): code for name, code in error.errors.items()}
    kept = {day: choice for day, choice in plan.choices.items() if day in days}
    return replace(plan, choices=kept), {}


def _choices(session: Session, typed: Mapping[str, str], zone: str) -> dict[date, Choice]:
    named = {code for code in codes_in(typed) if as_code(code)}
    known = instruments.by_codes(session, actor=actor(), codes=sorted(named)) if named else {}
    return typed_choices(typed, hours.zone(zone), known)


def _show(
    session: Session,
    typed: Mapping[str, str],
    instrument: Instrument,
    now: datetime,
    *,
    refusal: Refused | None = None,
    errors: Mapping[str, str] | None = None,
    used: bool = False,
    again: bool = False,
) -> Answer:
    """Render the form with the table of its dates, if it makes sense; `again` asks to look before it is booked."""
    form = _read(session, typed, instrument)
    problems = dict(form.errors) | {_FIELD_OF.get(name, name): code for name, code in (errors or {}).items()}
    found: Preview | None = None
    if form.plan is not None and not problems:
        try:
            found = series.preview(session, actor=actor(), plan=form.plan, now=now)
        except Invalid as error:
            problems |= {_FIELD_OF.get(name, name): code for name, code in error.errors.items()}
    own = projects.of_actor(session, actor=actor())
    page = render_template(
        "series/new.html",
        typed={**typed, **form.typed},
        seen=_mark(typed),
        errors=said(problems, _labels() | chemicals.labels(chemicals.ROWS)),
        problems=said_errors(problems),
        found=found,
        counts=shown_dates(found.dates) if found else (0, 0),
        table=_table(session, found, instrument) if found else [],
        exceptional=_exceptional(found, instrument.facility_id),
        rule=rule_words(form.plan.pattern.rule) if form.plan else "",
        others=others_for(instrument, own),
        chemical_rows=chemicals.retyped(most=chemicals.ROWS),
        hazards=chemicals.hazards(),
        again=again and found is not None,
        instrument=instrument,
        facility=instrument.facility,
        zone=instrument.facility.zone,
        policy=policies.in_force(session, instrument, person_id=actor().person_id, start=now),
        projects=[("", _("No project")), *((str(p.id), f"{p.code} · {p.name}") for p in own)],
        repeats=repeats_words(),
        reasons=sentences(refusal.reasons, instrument.facility.zone) if refusal else (),
        longest=LONGEST_TEXT,
        used=used,
        now=now,
    )
    status = 422 if problems else 409 if refusal or used else 200
    return page, status


def _labels() -> dict[str, str]:
    return labels() | {
        "interval": _("Every"),
        "repeats": _("Counted in"),
        "count": _("How many times"),
        "until": _("Last day"),
        "excluded": _("Leave out"),
        "booked_for": _("For whom"),
    }


def _table(session: Session, found: Preview, asked: Instrument) -> list[Line]:
    ids = {one.item.instrument_id for one in found.dates}
    ids |= {other.instrument_id for one in found.dates for other in one.alternatives}
    places = instruments.listed(session, actor=actor(), instrument_ids=ids)
    return lines(found.dates, found.zone, asked, places)


# --- one series -----------------------------------------------------------------------------------


@blueprint.get("/series/<uuid:series_id>", endpoint="series")
@needs("booking.see")
def show_series(series_id: UUID) -> Answer:
    """Show a series: its rule, every date as it stands, and what can be done."""
    return series_page(series_id)


def series_page(
    series_id: UUID,
    *,
    status: int = 200,
    problem: Sequence[Reason] = (),
    stale: bool = False,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Answer:
    """Render a series as it stands now, with what went wrong with the last deed, if anything did.

    :raises NotFound: if there is none that the reader may see
    """
    now = utc_now()
    with reading() as session:
        whole = series.get(session, actor=actor(), series_id=series_id, now=now)
        around = beside(session, whole)
        waits = _waits(session, series_id, now)
    row = whole.series
    ahead = [one for one in whole.dates if one.booking and one.span.start > now and not one.open]
    page = render_template(
        "series/one.html",
        whole=whole,
        series=row,
        instrument=whole.instrument,
        facility=whole.instrument.facility,
        zone=row.zone,
        rule=rule_words(recurrence.parse(row.rule, row.first_day)),
        notes={one.day: clock_notes(one.clock, _item(one.span, whole), row.zone) for one in whole.dates},
        why=why_words,
        beside=around,
        waits=waits,
        may_change=series.may_on(actor(), "booking.change", whole),
        may_cancel=series.may_on(actor(), "booking.cancel", whole),
        mine=row.person_id == actor().person_id,
        days=[(one.day.isoformat(), day_words(one.day)) for one in ahead],
        reasons=sentences(problem, row.zone),
        stale=stale,
        errors=said(
            errors or {},
            labels()
            | {"day": _("From which date"), "title": _("Title"), "number": _("Number"), "file": _("File")},
        ),
        problems=said_errors(errors or {}),
        typed={"reason": "", "scope": Scope.ALL.value, "day": "", **(typed or {})},
        longest=LONGEST_NOTE,
        now=now,
    )
    return page, status


def _waits(session: Session, series_id: UUID, now: datetime) -> int:
    """Count the dates that wait for the reader's own word."""
    try:
        return len(series_approvals.asked(session, actor=actor(), series_id=series_id, now=now))
    except (NotFound, Forbidden):
        return 0


def _item(span: Span, whole: Whole) -> Item:
    return Item(whole.series.instrument_id, span, whole.series.quantity)


def _carry_out(series_id: UUID, do: Callable[[Session], Any], words: str, typed: Mapping[str, str]) -> Answer:
    """Do one thing to a series, say so and go back to its page; what is refused is told there."""
    try:
        with transaction() as session:
            do(session)
    except Refused as refusal:
        return series_page(series_id, status=409, problem=refusal.reasons, typed=typed)
    except Stale:
        return series_page(series_id, status=412, stale=True)
    except Invalid as error:
        return series_page(series_id, status=422, errors=error.errors, typed=typed)
    flash(words, "success")
    return redirect(url_for("web.series", series_id=series_id), 303)


@blueprint.post("/series/<uuid:series_id>/cancellation")
@needs("booking.cancel")
def cancel_series(series_id: UUID) -> Answer:
    """Give up one date, one and those that follow, or all that are ahead."""
    form = fields("scope", "day", "reason", "version")
    intake = Intake(form)
    scope = intake.choice("scope", Scope, Scope.THIS)
    reason = intake.text("reason", longest=LONGEST_NOTE, lines=True)
    day = intake.day("day") if scope is not Scope.ALL else None
    if intake.errors or scope is None:
        return series_page(series_id, status=422, errors=intake.errors, typed=form)
    now = utc_now()
    return _carry_out(
        series_id,
        lambda session: series.cancel(
            session,
            actor=actor(),
            series_id=series_id,
            version=version_of(form["version"]),
            scope=scope,
            day=day,
            reason=reason,
            now=now,
        ),
        _("The date is given up and its time is free again.")
        if scope is Scope.THIS
        else _("These dates are given up and their time is free again."),
        form,
    )


@blueprint.post("/series/<uuid:series_id>/dates")
@needs("booking.change")
def put_back_date(series_id: UUID) -> Answer:
    """Put a date back that was left out or given up; it is judged anew."""
    form = fields("day", "version")
    intake = Intake(form)
    day = intake.day("day")
    if day is None:
        return series_page(series_id, status=422, errors=intake.errors, typed=form)
    now = utc_now()
    return _carry_out(
        series_id,
        lambda session: series.put_back(
            session,
            actor=actor(),
            series_id=series_id,
            version=version_of(form["version"]),
            day=day,
            now=now,
        ),
        _("The date is booked again."),
        {},
    )


# --- changing it ----------------------------------------------------------------------------------

_SHOWN_FIRST = ("scope", "day", "start_time", "end_time", "quantity", *RULE_FIELDS)
CHANGE_FIELDS = (
    *_SHOWN_FIRST,
    *("purpose", "confidential", "shown", "version"),
    *("seen", "check", "free_only", "override_reason"),
)


@blueprint.get("/series/<uuid:series_id>/change", endpoint="change_series")
@needs("booking.change")
def show_series_change(series_id: UUID) -> Answer:
    """Show the form that changes one date and those that follow, or all that are ahead."""
    now = utc_now()
    with reading() as session:
        whole = _changeable(session, series_id, now)
        return _show_change(session, whole, _typed_now(whole), now, look=False)


@blueprint.post("/series/<uuid:series_id>/change")
@needs("booking.change")
def submit_series_change(series_id: UUID) -> Answer:
    """Change the dates; or show them with their verdicts. What was not shown yet is shown first."""
    typed = _sent(CHANGE_FIELDS)
    now = utc_now()
    with reading() as session:
        whole = _changeable(session, series_id, now)
        scope, day, edit, errors = _edit(session, typed, whole)
        if typed["check"] or errors or typed["seen"] != _mark_of_change(typed):
            return _show_change(session, whole, typed, now, again=not typed["check"] and bool(typed["seen"]))
    edit = replace(edit, otherwise=_otherwise(typed), override=typed["override_reason"])
    try:
        with transaction() as session:
            row = series.change(
                session,
                actor=actor(),
                series_id=series_id,
                version=version_of(typed["version"]),
                scope=scope,
                day=day,
                edit=edit,
                now=now,
            )
            changed_id = row.id
    except Refused as refusal:
        with reading() as session:
            return _show_change(session, whole, typed, now, refusal=refusal)
    except Invalid as error:
        with reading() as session:
            return _show_change(session, whole, typed, now, errors=error.errors)
    except Stale:
        with reading() as session:
            whole = _changeable(session, series_id, now)
            typed["version"] = str(whole.series.version)
            return _show_change(session, whole, typed, now, stale=True)
    flash(_("The series is changed."), "success")
    return redirect(url_for("web.series", series_id=changed_id), 303)


def _changeable(session: Session, series_id: UUID, now: datetime) -> Whole:
    whole = series.get(session, actor=actor(), series_id=series_id, now=now)
    if not series.may_on(actor(), "booking.change", whole):
        raise Forbidden("booking.change")
    return whole


def _typed_now(whole: Whole) -> dict[str, str]:
    """Give what one would type to have the series as it is."""
    row = whole.series
    rule = recurrence.parse(row.rule, row.first_day)
    end = (row.start_minute + row.minutes) % hours.DAY_MINUTES
    day = request.args.get("day", "")
    hidden = "1" if _confidential_now(whole) else ""
    return {
        "scope": (Scope.FOLLOWING if day else Scope.ALL).value,
        "day": day,
        "start_time": f"{row.start_minute // 60:02}:{row.start_minute % 60:02}",
        "end_time": f"{end // 60:02}:{end % 60:02}",
        "quantity": str(row.quantity),
        **typed_now(rule, row.first_day, series.left_out(row)),
        "purpose": row.purpose,
        "confidential": hidden,
        "shown": hidden,
        "version": str(row.version),
        "seen": "",
    }


def _confidential_now(whole: Whole) -> bool:
    made = [one.booking for one in whole.dates if one.booking]
    return bool(made) and made[-1].confidential


def _mark_of_change(typed: Mapping[str, str]) -> str:
    return fingerprint({name: typed.get(name, "").strip() for name in _SHOWN_FIRST})[:16]


def _edit(
    session: Session, typed: Mapping[str, str], whole: Whole
) -> tuple[Scope, date | None, Edit, dict[str, str]]:
    intake, row = Intake(typed), whole.series
    scope = intake.choice("scope", Scope, Scope.ALL) or Scope.ALL
    if scope is Scope.THIS:
        intake.errors["scope"] = "unknown"
    day = intake.day("day") if scope is Scope.FOLLOWING else None
    start, end = intake.minute("start_time"), intake.minute("end_time")
    quantity = intake.whole("quantity", least=1, most=MOST_UNITS, default=row.quantity)
    purpose = intake.text("purpose", longest=LONGEST_TEXT, lines=True)
    minutes = None
    if start is not None and end is not None:
        # Of a use over midnight, or over several days, the end is a time of day as well.
        minutes = (end - start) % hours.DAY_MINUTES + row.minutes // hours.DAY_MINUTES * hours.DAY_MINUTES
        if minutes == 0:
            intake.errors["end_time"] = "inverted"
    edit = Edit(
        start_minute=start,
        minutes=minutes,
        quantity=quantity,
        rule=_rule_of_change(intake, row, day),
        excluded=_excluded_of_change(intake, row),
        purpose=None if purpose == row.purpose else purpose,
        confidential=None if typed["confidential"] == typed["shown"] else bool(typed["confidential"]),
        choices=_choices(session, typed, row.zone),
    )
    return scope, day, edit, intake.errors


def _rule_of_change(intake: Intake, row: Series, day: date | None) -> Rule | None:
    """Give the rule that was typed, None where it means what the series has."""
    old = recurrence.parse(row.rule, row.first_day)
    rule = typed_rule(intake, day or row.first_day, now=old)
    if rule is None:
        if "start_date" in intake.errors:
            intake.errors["repeats"] = intake.errors.pop("start_date")
        return None
    as_before = shape(rule) == shape(old) and rule.interval == old.interval
    same_end = rule.until == recurrence.days(old, row.first_day)[-1]
    return None if as_before and same_end else rule


def _excluded_of_change(intake: Intake, row: Series) -> frozenset[date] | None:
    days = typed_days(intake, "excluded")
    return None if days == series.left_out(row) else days


def _show_change(
    session: Session,
    whole: Whole,
    typed: Mapping[str, str],
    now: datetime,
    *,
    look: bool = True,
    refusal: Refused | None = None,
    errors: Mapping[str, str] | None = None,
    again: bool = False,
    stale: bool = False,
) -> Answer:
    """Render the form of a change; with `look` every date that it touches has its verdict."""
    scope, day, edit, mistakes = _edit(session, typed, whole)
    problems = mistakes | dict(errors or {})
    found: Preview | None = None
    if look and not problems:
        found, edit, problems = _look_at_change(session, whole, scope, day, edit, now)
        problems = {_FIELD_OF.get(name, name): code for name, code in problems.items()}
    row = whole.series
    rule = recurrence.parse(row.rule, row.first_day)
    ahead = [one for one in whole.dates if one.span.start > now]
    page = render_template(
        "series/change.html",
        whole=whole,
        series=row,
        instrument=whole.instrument,
        facility=whole.instrument.facility,
        zone=row.zone,
        typed=typed,
        seen=_mark_of_change(typed),
        errors=said(problems, _labels() | {"day": _("From which date")}),
        problems=said_errors(problems),
        found=found,
        counts=shown_dates(found.dates) if found else (0, 0),
        table=_table(session, found, whole.instrument) if found else [],
        exceptional=_exceptional(found, whole.instrument.facility_id),
        rule=rule_words(rule),
        repeats=repeats_words(
            rule if typed_now(rule, row.first_day, ())["repeats"] == Repeats.KEPT else None
        ),
        wanted=rule_words(edit.rule) if edit.rule else "",
        again=again and found is not None,
        stale=stale,
        days=[(one.day.isoformat(), day_words(one.day)) for one in ahead],
        reasons=sentences(refusal.reasons, row.zone) if refusal else (),
        longest=LONGEST_TEXT,
        now=now,
    )
    status = 422 if problems else 412 if stale else 409 if refusal else 200
    return page, status


def _look_at_change(
    session: Session, whole: Whole, scope: Scope, day: date | None, edit: Edit, now: datetime
) -> tuple[Preview | None, Edit, dict[str, str]]:
    try:
        found = series.preview_change(
            session, actor=actor(), series_id=whole.series.id, scope=scope, day=day, edit=edit, now=now
        )
    except Invalid as error:
        if "choices" in error.errors and edit.choices:
            # They were made for other dates than these.
            return _look_at_change(session, whole, scope, day, replace(edit, choices={}), now)
        return None, edit, dict(error.errors)
    return found, edit, {}


def count_words(counts: Iterable[int]) -> str:
    """Say how many dates can be had, and how many cannot."""
    free, against = counts
    words = ngettext("%(num)d date can be booked", "%(num)d dates can be booked", free, num=free)
    if not against:
        return words
    more = ngettext("%(num)d cannot", "%(num)d cannot", against, num=against)
    return _("%(free)s, %(against)s", free=words, against=more)


blueprint.app_template_global("count_words")(count_words)

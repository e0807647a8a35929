"""Quiet times: a manager says how long a maintenance takes, sees when it disturbs the least, and closes then."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.hours import instant
from booking.domain.pricing import CustomerClass
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.http.forms import choices as ticked
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import quiet_times
from booking.services.quiet_times import QuietTime
from booking.web import blueprint
from booking.web.closures import Way, place_of
from booking.web.forms import LONGEST_NOTE, Intake, as_code, local_time, said
from booking.web.judgement import Said, sentences
from models import ClosureKind, Facility, Instrument

Answer = str | Redirect | tuple[str, int]

ASKED = ("facility", "hours", "first", "last", "in_hours")
CHOSEN = ("start", "end", "displaces", "kind", "reason")
DAYS = 14
"""So many days are looked at unless others are said."""

MOST_HOURS = 24 * 14


@blueprint.get("/closures/quiet-times", endpoint="quiet_times")
@needs("closure.make")
def show_quiet_times() -> Answer:
    """Ask how long it takes; once that is said, show when it disturbs the least."""
    typed = {name: request.args.get(name, "") for name in ASKED}
    return _page(typed, [as_code(code) for code in request.args.getlist("instrument") if code])


@blueprint.post("/closures/quiet-times", endpoint="close_quietly")
@needs("closure.make")
def close_quietly() -> Answer:
    """Close at one of these times, and look for other places for those whom it displaces."""
    typed = fields(*ASKED, *CHOSEN, many=("instrument",))
    chosen = [as_code(code) for code in ticked("instrument") if code]
    with reading() as session:
        facility, all_of = place_of(session, typed["facility"], next(iter(chosen), ""))
    intake = Intake(typed)
    kind = intake.choice("kind", ClosureKind, ClosureKind.MAINTENANCE)
    reason = intake.text("reason", longest=LONGEST_NOTE)
    displaces = intake.whole("displaces", least=0, most=10_000, default=0)
    span = _span(typed)
    instrument_ids = _instruments(intake, all_of, chosen)
    if intake.errors or kind is None or displaces is None or span is None:
        return _page(typed, chosen, errors=intake.errors, status=422)
    try:
        with transaction() as session:
            closed, replan = quiet_times.close(
                session,
                actor=actor(),
                facility_id=facility.id,
                instrument_ids=instrument_ids,
                span=span,
                displaces=displaces,
                kind=kind,
                reason=reason,
                now=utc_now(),
            )
            made, begun = closed[0].id, replan.id if replan is not None else None
    except Refused as refusal:
        return _page(typed, chosen, reasons=sentences(refusal.reasons, facility.zone), status=409)
    if begun is not None:
        flash(_("Closed. Those who are displaced are being told; other places are looked for."), "success")
        return redirect(url_for("web.replan", replan_id=begun), 303)
    flash(_("Closed. No booking is met.") if not displaces else _("Closed."), "success")
    return redirect(url_for("web.closures", facility=facility.code, _anchor=f"closure-{made}"), 303)


def _page(
    typed: Mapping[str, str],
    chosen: Sequence[str],
    *,
    errors: Mapping[str, str] | None = None,
    reasons: Sequence[Said] = (),
    status: int = 200,
) -> Answer:
    now = utc_now()
    with reading() as session:
        facility, all_of = place_of(session, typed["facility"], next(iter(chosen), ""))
        filled = _filled(typed, facility, now)
        intake = Intake(filled)
        places = _instruments(intake, all_of, chosen)
        found = _found(session, intake, facility, places, now) if typed["hours"] else None
    wrong = {**intake.errors, **(errors or {})}
    labels = {
        "hours": _("Hours"),
        "first": _("First day"),
        "last": _("Last day"),
        "instrument": _("Instruments"),
        "reason": _("Reason"),
    }
    page = render_template(
        "closures/quiet.html",
        facility=facility,
        choices=[(one.code, f"{name_of(one)} · {one.code}") for one in all_of],
        chosen=chosen,
        typed={**filled, "instrument": chosen[0] if len(chosen) == 1 else ""},
        found=None if found is None else [(one, _in_full(facility, chosen, one)) for one in found],
        external=CustomerClass.EXTERNAL,
        internal=CustomerClass.INTERNAL,
        reasons=reasons,
        errors=said(wrong, labels),
        problems={name: wording.error_sentence(code) for name, code in wrong.items()},
    )
    return page, 422 if wrong and status == 200 else status


def _filled(typed: Mapping[str, str], facility: Facility, now: datetime) -> dict[str, str]:
    today = now.astimezone(hours.zone(facility.zone)).date()
    usual = {
        **dict.fromkeys(ASKED, ""),
        "hours": "4",
        "first": today.isoformat(),
        "last": (today + timedelta(days=DAYS - 1)).isoformat(),
        "kind": ClosureKind.MAINTENANCE.value,
    }
    return {**usual, **{name: value for name, value in typed.items() if value}, "facility": facility.code}


def _found(
    session: Session, intake: Intake, facility: Facility, instrument_ids: Sequence[int], now: datetime
) -> list[QuietTime] | None:
    length = intake.whole("hours", least=1, most=MOST_HOURS)
    first, last = intake.day("first"), intake.day("last")
    if first is not None and last is not None and last < first:
        intake.errors["last"] = "inverted"
    if intake.errors or length is None or first is None or last is None:
        return None
    tz = hours.zone(facility.zone)
    try:
        return quiet_times.find(
            session,
            actor=actor(),
            facility_id=facility.id,
            instrument_ids=instrument_ids,
            length=timedelta(hours=length),
            within=Span(instant(first, 0, tz), instant(last + timedelta(days=1), 0, tz)),
            in_hours=bool(intake.typed.get("in_hours")),
            now=now,
        )
    except Invalid as error:
        names = {"length": "hours", "to": "last"}
        intake.errors |= {names.get(name, name): code for name, code in error.errors.items()}
        return None


def _in_full(facility: Facility, chosen: Sequence[str], one: QuietTime) -> str:
    """Give the address of the form in which all that can be said of a closure is said; it is for one or for all."""
    if len(chosen) > 1:
        return ""
    zone = hours.zone(facility.zone)
    return url_for(
        "web.new_closure",
        facility=facility.code,
        instrument=chosen[0] if chosen else None,
        start=local_time(one.span.start, zone),
        end=local_time(one.span.end, zone),
        way=(Way.AT_ONCE if one.met else Way.PLANNED).value,
    )


def _instruments(intake: Intake, all_of: Sequence[Instrument], chosen: Sequence[str]) -> list[int]:
    """Give the chosen instruments; none of them means the whole facility."""
    places = {one.code: one.id for one in all_of}
    if any(code not in places for code in chosen):
        intake.errors["instrument"] = "unknown"
    return [places[code] for code in chosen if code in places]


def _span(typed: Mapping[str, str]) -> Span | None:
    try:
        start, end = (datetime.fromisoformat(typed[name]) for name in ("start", "end"))
    except ValueError:
        return None
    aware = start.tzinfo is not None and end.tzinfo is not None
    return Span(start, end) if aware and start < end else None

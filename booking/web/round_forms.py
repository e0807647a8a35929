"""Forms of rounds: opening or amending one, and wishing for time in it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import plan_words, wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import Subject, require
from booking.domain.rounds import LIMITS, USUAL, Weights
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.domain.vocabulary import REGIONS
from booking.http.forms import choices, fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import current_locale, name_of
from booking.i18n import gettext as _
from booking.services import catalogue, facilities, projects, round_wishes, rounds
from booking.services.bookings import Stale
from booking.services.catalogue import Filters
from booking.services.rounds import ShareTerms, Terms
from booking.web import blueprint, round_steps
from booking.web.closures import chosen_facility
from booking.web.forms import Intake, as_code, days_from, said
from booking.web.judgement import Said, sentences
from models import Facility, Instrument, OrganisationKind, Round

Answer = str | Redirect | tuple[str, int]

ROWS = 4
"""So many promises a form has room for."""

SHARE_FIELDS = ("kind", "region", "category", "floor", "annual", "left", "subsidy")
ROUND_FIELDS = (
    *("facility", "name", "note", "first_day", "last_day"),
    *("opens_date", "opens_time", "closes_date", "closes_time"),
    *("cap", "budget", "reserve", "version", *LIMITS),
    *(f"{name}_{number}" for number in range(1, ROWS + 1) for name in SHARE_FIELDS),
)
WISH_FIELDS = (
    *("length", "unit", "first", "last", "project", "purpose", "may_move", "keep_waiting"),
    *round_steps.FIELDS,
)
FIELD_OF = {
    "closes_at": "closes_date",
    "opens_at": "opens_date",
    "shares": "kind_1",
    "cap_minutes": "cap",
    "reserve_percent": "reserve",
}
"""The fields of the form by what the service calls them."""

MOST_HOURS = 100_000
MOST_YUAN = 10**12
OFFERED = 200
UNITS = {"hours": 60, "days": 24 * 60}


# --- a round --------------------------------------------------------------------------------------


@blueprint.get("/rounds/new", endpoint="new_round")
@needs("round.keep")
def show_new_round() -> Answer:
    """Show the form, for four weeks from the Monday after next."""
    facility = _managed(request.args.get("facility", ""))
    zone = hours.zone(facility.zone)
    today = utc_now().astimezone(zone).date()
    monday = today + timedelta(days=14 - today.weekday())
    typed = dict.fromkeys(ROUND_FIELDS, "") | {
        "facility": facility.code,
        "first_day": monday.isoformat(),
        "last_day": (monday + timedelta(days=27)).isoformat(),
        "opens_date": today.isoformat(),
        "opens_time": "00:00",
        "closes_date": (monday - timedelta(days=3)).isoformat(),
        "closes_time": "17:00",
        "reserve": "3",
        **{name: str(getattr(USUAL, name)) for name in LIMITS},
    }
    return _round_form(facility, typed)


@blueprint.post("/rounds/new")
@needs("round.keep")
def make_round() -> Answer:
    """Open a round."""
    typed = fields(*ROUND_FIELDS)
    facility = _managed(typed["facility"])
    try:
        terms = _terms(typed, facility)
        with transaction() as session:
            row = rounds.make(session, actor=actor(), facility_id=facility.id, terms=terms, now=utc_now())
            made = row.id
    except Invalid as error:
        return _round_form(facility, typed, error.errors, status=422)
    flash(_("The round is open. People can wish for time in it."), "success")
    return redirect(url_for("web.round", round_id=made), 303)


@blueprint.get("/rounds/<uuid:round_id>/change", endpoint="change_round")
@needs("round.keep")
def show_change_round(round_id: UUID) -> Answer:
    """Show the form with the round's terms."""
    row = _kept(round_id)
    return _round_form(row.facility, _typed(row), row=row)


@blueprint.post("/rounds/<uuid:round_id>/change")
@needs("round.keep")
def amend_round(round_id: UUID) -> Answer:
    """Change the terms of a round."""
    typed = fields(*ROUND_FIELDS)
    row = _kept(round_id)
    version = int(typed["version"]) if typed["version"].isdecimal() else None
    try:
        terms = _terms(typed, row.facility)
        with transaction() as session:
            rounds.amend(
                session, actor=actor(), round_id=round_id, terms=terms, version=version, now=utc_now()
            )
    except Invalid as error:
        return _round_form(row.facility, typed, error.errors, row=row, status=422)
    except Refused as refusal:
        reasons = sentences(refusal.reasons, row.facility.zone)
        return _round_form(row.facility, typed, row=row, reasons=reasons, status=409)
    except Stale:
        now_it_is = typed | {"version": str(_kept(round_id).version)}
        return _round_form(row.facility, now_it_is, row=row, stale=True, status=412)
    flash(_("Kept."), "success")
    return redirect(url_for("web.round", round_id=round_id), 303)


def _managed(code: str) -> Facility:
    with reading() as session:
        mine = facilities.managed(session, actor=actor())
        facility = chosen_facility(mine, as_code(code))
    require(actor(), "round.keep", Subject(facility_id=facility.id))
    return facility


def _kept(round_id: UUID) -> Round:
    with reading() as session:
        return rounds.lock(session, actor(), round_id, None)


def _terms(typed: Mapping[str, str], facility: Facility) -> Terms:
    intake, zone = Intake(typed), hours.zone(facility.zone)
    first, last = intake.day("first_day"), intake.day("last_day")
    opens, closes = intake.instant("opens", zone), intake.instant("closes", zone)
    name = intake.text("name", longest=rounds.LONGEST_NAME)
    note = intake.text("note", longest=rounds.LONGEST_NOTE, lines=True)
    cap, reserve = _hours(intake, "cap"), intake.whole("reserve", least=0, most=50, default=0)
    budget, weights = _yuan(intake, "budget"), _weights(intake)
    shares = [one for number in range(1, ROWS + 1) if (one := _share(intake, number)) is not None]
    intake.demand()
    if first is None or last is None or opens is None or closes is None:
        raise Invalid(intake.errors)
    return Terms(
        name=name,
        note=note,
        first_day=first,
        last_day=last,
        opens_at=opens,
        closes_at=closes,
        cap_minutes=cap,
        budget=budget,
        reserve_percent=reserve or 0,
        weights=weights,
        shares=shares,
    )


def _weights(intake: Intake) -> Weights:
    """Read what counts how much; what is left empty is as usual."""
    found = {
        name: intake.whole(name, least=least, most=most, default=getattr(USUAL, name))
        for name, (least, most) in LIMITS.items()
    }
    return Weights(**{name: figure for name, figure in found.items() if figure is not None})


def _share(intake: Intake, number: int) -> ShareTerms | None:
    if not _filled(intake.typed, number):
        return None
    kind = intake.choice(f"kind_{number}", OrganisationKind)
    left = intake.whole(f"left_{number}", least=1, most=1000, default=1)
    subsidy = intake.whole(f"subsidy_{number}", least=0, most=100, default=0)
    floor, annual = _hours(intake, f"floor_{number}"), _hours(intake, f"annual_{number}")
    if kind is None:
        return None
    return ShareTerms(
        organisation_kind=kind,
        category_code=intake.raw(f"category_{number}") or None,
        region_code=intake.raw(f"region_{number}") or None,
        floor_minutes=floor,
        annual_minutes=annual,
        rounds_left=left or 1,
        subsidy_percent=subsidy or 0,
    )


def _filled(typed: Mapping[str, str], number: int) -> bool:
    return any(typed[f"{name}_{number}"].strip() for name in SHARE_FIELDS)


def _hours(intake: Intake, name: str) -> int | None:
    """Give the minutes of hours that may have a fraction; None where nothing was typed."""
    if not intake.raw(name):
        return None
    try:
        minutes = Decimal(intake.raw(name)) * 60
    except InvalidOperation:
        intake.errors[name] = "malformed"
        return None
    if not minutes.is_finite() or minutes != int(minutes):
        intake.errors[name] = "malformed"
    elif not 0 <= minutes <= MOST_HOURS * 60:
        intake.errors[name] = "out_of_range"
    else:
        return int(minutes)
    return None


def _yuan(intake: Intake, name: str) -> Decimal | None:
    if not intake.raw(name):
        return None
    try:
        found = Decimal(intake.raw(name))
    except InvalidOperation:
        found = Decimal("NaN")
    # In this order: what has more digits than there are cannot be rounded.
    if not found.is_finite() or abs(found) >= MOST_YUAN or found != round(found, 2):
        intake.errors[name] = "malformed"
        return None
    return found


def _typed(row: Round) -> dict[str, str]:
    zone = hours.zone(row.facility.zone)
    typed = dict.fromkeys(ROUND_FIELDS, "") | {
        "facility": row.facility.code,
        "name": row.name,
        "note": row.note,
        "first_day": row.first_day.isoformat(),
        "last_day": row.last_day.isoformat(),
        "cap": _as_hours(row.cap_minutes),
        "budget": "" if row.budget is None else str(row.budget),
        "reserve": str(row.reserve_percent),
        "version": str(row.version),
        **{name: str(getattr(row.counts, name)) for name in LIMITS},
    }
    for name, at in (("opens", row.opens_at), ("closes", row.closes_at)):
        wall = at.astimezone(zone)
        typed |= {f"{name}_date": wall.date().isoformat(), f"{name}_time": wall.strftime("%H:%M")}
    for number, share in enumerate(row.shares[:ROWS], 1):
        typed |= {
            f"kind_{number}": share.organisation_kind.value,
            f"category_{number}": share.category_code or "",
            f"region_{number}": share.region_code or "",
            f"floor_{number}": _as_hours(share.floor_minutes),
            f"annual_{number}": _as_hours(share.annual_minutes),
            f"left_{number}": str(share.rounds_left),
            f"subsidy_{number}": str(share.subsidy_percent),
        }
    return typed


def _as_hours(minutes: int | None) -> str:
    return "" if minutes is None else f"{minutes / 60:g}"


def _round_form(
    facility: Facility,
    typed: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
    *,
    row: Round | None = None,
    reasons: Sequence[Said] = (),
    stale: bool = False,
    status: int = 200,
) -> Answer:
    wrong = dict(errors or {})
    for name, field in FIELD_OF.items():
        if name in wrong:
            wrong[field] = wrong.pop(name)
    labels = {
        "name": _("Name"),
        "first_day": _("First day"),
        "last_day": _("Last day"),
        "opens_date": _("Wishes from"),
        "closes_date": _("Wishes until"),
        "cap": _("Most for one organisation"),
        "reserve": _("Kept free"),
        "floor_points": _("Points for a missed hour"),
        "priority_factor": _("Each priority over the one below"),
        "late_percent": _("Cost of waiting"),
        "rank_percent": _("Second choices"),
        "fair_percent": _("Past use"),
        "kind_1": _("Promises"),
        "budget": _("Budget for subsidies"),
    }
    with reading() as session:
        categories = catalogue.categories(session)
    page = render_template(
        "rounds/form.html",
        row=row,
        facility=facility,
        typed=typed,
        rows=range(1, ROWS + 1),
        usual=all(typed[name] in {"", str(getattr(USUAL, name))} for name in LIMITS),
        filled={1, *(number for number in range(1, ROWS + 1) if _filled(typed, number))},
        kinds=[
            ("", _("Nobody")),
            *((kind.value, plan_words.organisation_kind(kind.value)) for kind in OrganisationKind),
        ],
        regions=[("", _("Any region")), *((code, plan_words.region_name(code)) for code in REGIONS)],
        categories=[
            ("", _("All instruments")),
            *((one.code, f"{one.code} {name_of(one)}") for one in categories),
        ],
        errors=said(wrong, labels),
        problems={name: wording.error_sentence(code) for name, code in wrong.items()},
        reasons=reasons,
        stale=stale,
    )
    return page, status


# --- a wish ---------------------------------------------------------------------------------------


@blueprint.get("/rounds/<uuid:round_id>/wishes/new", endpoint="new_wish")
@needs("wish.make")
def show_new_wish(round_id: UUID) -> Answer:
    """Show the form of a wish, for all days of the round."""
    row = _seen(round_id)
    typed = (
        dict.fromkeys(WISH_FIELDS, "")
        | round_steps.USUAL
        | {
            "length": "4",
            "unit": "hours",
            "first": row.first_day.isoformat(),
            "last": row.last_day.isoformat(),
            "keep_waiting": "1",
        }
    )
    named = [as_code(one) for one in request.args.getlist("instrument")]
    return _wish_form(row, typed, named)


@blueprint.post("/rounds/<uuid:round_id>/wishes/new")
@needs("wish.make")
def make_wish(round_id: UUID) -> Answer:
    """Wish for time in a round."""
    typed = fields(*WISH_FIELDS, many=("instrument",))
    chosen = [as_code(one) for one in choices("instrument")]
    row = _seen(round_id)
    intake = Intake(typed)
    length = intake.whole("length", least=1, most=10_000)
    purpose = intake.text("purpose", longest=round_wishes.LONGEST_PURPOSE, lines=True)
    window = _window(intake, row)
    project_id = intake.key("project")
    try:
        with reading() as session:
            offered = _offered(session, row)
        following = round_steps.read(intake, offered)
        intake.demand()
        with transaction() as session:
            places = _places(offered, chosen)
            round_wishes.submit(
                session,
                actor=actor(),
                round_id=round_id,
                instrument_ids=places,
                minutes=(length or 1) * UNITS.get(typed["unit"], 60),
                window=window,
                project_id=project_id,
                purpose=purpose,
                may_move=bool(typed["may_move"]),
                keep_waiting=bool(typed["keep_waiting"]),
                following=following,
                now=utc_now(),
            )
    except Invalid as error:
        return _wish_form(row, typed, chosen, round_steps.led(error), status=422)
    except Refused as refusal:
        reasons = sentences(refusal.reasons, row.facility.zone)
        return _wish_form(row, typed, chosen, reasons=reasons, status=409)
    flash(_("Your wish is in. You hear of it when the draft is published."), "success")
    return redirect(url_for("web.round", round_id=round_id), 303)


def _seen(round_id: UUID) -> Round:
    with reading() as session:
        return rounds.get(session, actor=actor(), round_id=round_id)


def _window(intake: Intake, row: Round) -> Span | None:
    first, last = intake.day("first"), intake.day("last")
    if first is None or last is None:
        return None
    if last < first:
        intake.errors["last"] = "inverted"
        return None
    return days_from(first, (last - first).days + 1, hours.zone(row.facility.zone))


def _offered(session: Session, row: Round) -> list[Instrument]:
    found = catalogue.search(
        session,
        actor=actor(),
        filters=Filters(facility=row.facility.code),
        page=1,
        page_size=catalogue.MOST_PER_PAGE,
        locale=current_locale(),
        facets=False,
    )
    return [one for one in found.items if one.bookable]


def _places(offered: Sequence[Instrument], chosen: Sequence[str]) -> list[int]:
    codes = {one.code: one.id for one in offered}
    if set(chosen) - codes.keys():
        raise Invalid({"instruments": "unknown"})
    return [codes[code] for code in chosen]


def _wish_form(
    row: Round,
    typed: Mapping[str, str],
    chosen: Sequence[str],
    errors: Mapping[str, str] | None = None,
    *,
    reasons: Sequence[Said] = (),
    status: int = 200,
) -> Answer:
    wrong = dict(errors or {})
    for name, field in (("window", "last"), ("minutes", "length"), ("instruments", "instrument")):
        if name in wrong:
            wrong[field] = wrong.pop(name)
    labels = {
        "instrument": _("Instruments"),
        "length": _("How long"),
        "first": _("From"),
        "last": _("To"),
        "purpose": _("Purpose"),
        **round_steps.labels(),
    }
    with reading() as session:
        offered = _offered(session, row)
        classes = catalogue.categories(session)
        mine = projects.of_actor(session, actor=actor())
    page = render_template(
        "rounds/wish.html",
        row=row,
        zone=row.facility.zone,
        typed=typed,
        chosen=chosen,
        offered=offered,
        steps=round_steps.NUMBERS,
        filled=round_steps.filled(typed),
        step_options=round_steps.options(offered, classes),
        projects=[("", _("None")), *((str(one.id), f"{one.code} {one.name}") for one in mine)]
        if mine
        else [],
        units=[("hours", _("hours")), ("days", _("days, around the clock"))],
        errors=said(wrong, labels),
        problems={name: wording.error_sentence(code) for name, code in wrong.items()},
        reasons=reasons,
    )
    return page, status

"""Booking a process in several steps: the form, the earliest route as a drawing and a table, its move as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import NotFound, Subject, may
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.idempotency import fingerprint
from booking.http.identity import actor, utc_now
from booking.i18n import format_duration, name_of
from booking.i18n import gettext as _
from booking.services import (
    availability,
    bookings,
    catalogue,
    facilities,
    instruments,
    line_processes,
    processes,
    projects,
    routes,
    waitlist,
)
from booking.services.bookings import KeyReused, Stale
from booking.services.catalogue import Filters
from booking.services.routes import Route, Step
from booking.web import abilities, blueprint, timeline
from booking.web import holds as holding
from booking.web.booking_form import fresh_key
from booking.web.bookings import booking_page, version_of
from booking.web.forms import LONGEST_CODE, LONGEST_TEXT, Intake, as_code, days_from, said
from booking.web.judgement import Said, sentences
from booking.web.waitlist import Found, found_options, wish_words
from models import Booking, Facility, Instrument, Project, Utility

Answer = str | Response | Redirect | tuple[str, int]

ROWS = 6
"""So many steps has the form."""

DRAWN_DAYS = 7
"""The drawing shows no more days of a long route."""

STEP_PARTS = ("what", *abilities.FIELDS, "hours", "least", "most", "family")
FIELDS = (
    *("facility", "start_date", "start_time", "project", "purpose", "places", "key", "find"),
    *("wait", "until", "found"),
)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Lane:
    """One step of a route: its instrument, its time, and that time on the paper."""

    number: int
    name: str
    code: str
    facility: str
    span: Span
    wait: timedelta | None
    family: str
    row: timeline.Row
    place: tuple[int, int] | None
    asked: timedelta

    @property
    def longer(self) -> bool:
        """Tell whether the instrument's rules made it longer than was asked for."""
        return self.span.duration > self.asked


@dataclass(frozen=True)
class Drawing:
    """A route as the page shows it."""

    route: Route
    lanes: Sequence[Lane]
    paper: timeline.Paper | None
    reasons: Sequence[Said]
    places: str
    zone: str


@blueprint.get("/processes/new", endpoint="new_process")
@needs("booking.place")
def show_new_process() -> Answer:
    """Show the form for a facility; a line fills in its stations as steps."""
    now = utc_now()
    with reading() as session:
        every = facilities.listing(session)
        facility, steps = _start(session, every)
        if facility is None:
            return render_template("processes/choose.html", facilities=every)
        typed = _empty() | {"facility": facility.code, "key": fresh_key()} | steps
        start = now.astimezone(hours.zone(facility.zone)) + _HOUR
        typed |= {"start_date": start.date().isoformat(), "start_time": start.strftime("%H:00")}
        return _page(session, facility, typed, {}, None)


@blueprint.post("/processes/new")
@needs("booking.place")
def place_process() -> Answer:
    """Find the earliest route of the steps, or book the one that was found."""
    typed = fields(*FIELDS, *_step_fields())
    now = utc_now()
    with reading() as session:
        facility = facilities.by_code(session, code=as_code(typed["facility"]) or "-")
        shared = processes.utilities(session, facility_ids=[facility.id])
        own = projects.of_actor(session, actor=actor())
        steps, after, errors = _read(typed, facility, shared)
        project_id = _project(typed, own, errors)
    if errors or after is None:
        with reading() as session:
            return _page(session, facility, typed, errors, None, status=422)
    within = Span(max(after, now), max(after, now) + routes.REACH)
    if typed["wait"]:
        return _waiting(facility, typed, steps, after, project_id, now)
    if typed["find"] or not typed["places"]:
        return _found(facility, typed, steps, within, project_id, now)
    return _booked(facility, typed, steps, within, project_id, now)


def _start(session: Session, every: Sequence[Facility]) -> tuple[Facility | None, dict[str, str]]:
    """Give the facility that the address names, and for a line its stations as the steps."""
    code = as_code(request.args.get("line"))
    if code:
        line = instruments.by_code(session, actor=actor(), code=code)
        stations = instruments.stations(session, instrument_id=line.id)
        steps = {f"what-{n}": f"i:{row.code}" for n, row in enumerate(stations[:ROWS], 1)}
        return line.facility, steps
    wanted = as_code(request.args.get("facility"))
    found = next((one for one in every if one.code == wanted), None)
    if wanted and found is None:
        raise NotFound("facility", wanted)
    return found, {}


def _empty() -> dict[str, str]:
    typed = dict.fromkeys((*FIELDS, *_step_fields()), "")
    for row in range(1, ROWS + 1):
        typed |= {f"hours-{row}": "1", f"least-{row}": "0", f"most-{row}": "24"}
    return typed


def _step_fields() -> tuple[str, ...]:
    draws = [f"draw-{row}-{n}" for row in range(1, ROWS + 1) for n in range(1, processes.MOST_UTILITIES + 1)]
    return (*(f"{part}-{row}" for row in range(1, ROWS + 1) for part in STEP_PARTS), *draws)


# --- what was typed -------------------------------------------------------------------------------


def _read(
    typed: Mapping[str, str], facility: Facility, shared: Sequence[Utility]
) -> tuple[list[Step], datetime | None, dict[str, str]]:
    """Read the steps and from when on they may be."""
    intake = Intake(typed)
    after = intake.instant("start", hours.zone(facility.zone))
    steps = [
        step
        for row in range(1, ROWS + 1)
        if typed[f"what-{row}"] and (step := _step(intake, row, facility, shared)) is not None
    ]
    if not steps and not intake.errors:
        intake.errors["what-1"] = "required"
    return steps, after, intake.errors


def _step(intake: Intake, row: int, facility: Facility, shared: Sequence[Utility]) -> Step | None:
    sort, _colon, code = intake.raw(f"what-{row}").partition(":")
    minutes = _minutes(intake, f"hours-{row}", least=1)
    lag = _minutes(intake, f"least-{row}"), _minutes(intake, f"most-{row}")
    ability = abilities.read(intake, f"-{row}")
    family = intake.text(f"family-{row}", longest=processes.LONGEST_FAMILY)
    draws = {
        one.code: amount
        for n, one in enumerate(shared, 1)
        if (amount := intake.whole(f"draw-{row}-{n}", least=0, most=processes.MOST_CAPACITY, default=0))
    }
    if sort not in {"i", "c"} or not code:
        intake.errors[f"what-{row}"] = "unknown"
    if lag[0] is not None and lag[1] is not None and lag[0] > lag[1]:
        intake.errors[f"most-{row}"] = "too_small"
    if intake.errors or minutes is None or lag[0] is None or lag[1] is None:
        return None
    named = code if sort == "i" else ""
    filters = Filters() if named else Filters(facility=facility.code, category=code, capability=ability)
    return Step(minutes, named, filters, (lag[0], lag[1]), family, draws)


def _minutes(intake: Intake, name: str, *, least: int = 0) -> int | None:
    """Read hours with a fraction as minutes."""
    raw = intake.raw(name).replace(",", ".")
    if not raw:
        intake.errors[name] = "required"
        return None
    try:
        minutes = Decimal(raw[:20]) * 60
    except InvalidOperation:
        intake.errors[name] = "malformed"
        return None
    if not minutes.is_finite() or minutes != minutes.to_integral_value():
        intake.errors[name] = "malformed"
    elif not least <= minutes <= routes.LONGEST_STEP:
        intake.errors[name] = "out_of_range"
    else:
        return int(minutes)
    return None


def _project(typed: Mapping[str, str], own: Sequence[Project], errors: dict[str, str]) -> UUID | None:
    intake = Intake(typed)
    project_id = intake.key("project")
    if intake.errors or (project_id is not None and project_id not in {one.id for one in own}):
        errors["project"] = "unknown"
    return project_id


# --- finding and booking --------------------------------------------------------------------------


def _found(
    facility: Facility,
    typed: Mapping[str, str],
    steps: Sequence[Step],
    within: Span,
    project_id: UUID | None,
    now: datetime,
) -> Answer:
    try:
        with reading() as session:
            route = routes.find(
                session, actor=actor(), steps=steps, within=within, project_id=project_id, now=now
            )
            drawing = _drawing(session, route, steps, facility.zone, now)
    except Invalid as error:
        with reading() as session:
            return _page(session, facility, typed, _led(error), None, status=422)
    held = holding.take(list(route.items)) if route.allowed else None
    with reading() as session:
        return _page(session, facility, {**typed, "places": drawing.places}, {}, drawing, held=held)


def _waiting(
    facility: Facility,
    typed: Mapping[str, str],
    steps: Sequence[Step],
    after: datetime,
    project_id: UUID | None,
    now: datetime,
) -> Answer:
    """Put somebody in line for the whole process."""
    intake = Intake(typed)
    until = intake.day("until")
    purpose = intake.text("purpose", longest=waitlist.LONGEST_PURPOSE, lines=True)
    found = intake.choice("found", Found, Found.OFFER)
    if intake.errors or until is None:
        return _not_waiting(facility, typed, steps, after, project_id, now, intake.errors)
    zone = hours.zone(facility.zone)
    start = max(after, now.replace(second=0, microsecond=0))
    end = hours.instant(until + timedelta(days=1), 0, zone)
    if end <= start:
        return _not_waiting(facility, typed, steps, after, project_id, now, {"until": "inverted"})
    try:
        with transaction() as session:
            line_processes.join(
                session,
                actor=actor(),
                steps=steps,
                window=Span(start, end),
                project_id=project_id,
                purpose=purpose,
                wish=_words(session, steps),
                at_once=found is Found.BOOK,
                now=now,
            )
    except Refused as refusal:
        reasons = sentences(refusal.reasons, facility.zone)
        return _not_waiting(facility, typed, steps, after, project_id, now, {}, reasons)
    except Invalid as error:
        wrong = _led(error)
        for name in ("end", "duration"):
            if name in error.errors:
                wrong = {"until": error.errors[name]}
        return _not_waiting(facility, typed, steps, after, project_id, now, wrong)
    flash(
        _("You are in line. When a time comes free it is booked for you, and you hear of it.")
        if found is Found.BOOK
        else _("You are in line. When a time comes free you are asked, by mail and here."),
        "success",
    )
    return redirect(url_for("web.waitlist"), 303)


def _not_waiting(
    facility: Facility,
    typed: Mapping[str, str],
    steps: Sequence[Step],
    after: datetime,
    project_id: UUID | None,
    now: datetime,
    errors: Mapping[str, str],
    refused: Sequence[Said] = (),
) -> Answer:
    """Show the route as it stands with what keeps somebody from waiting for it."""
    within = Span(max(after, now), max(after, now) + routes.REACH)
    with reading() as session:
        try:
            route = routes.find(
                session, actor=actor(), steps=steps, within=within, project_id=project_id, now=now
            )
            drawing = _drawing(session, route, steps, facility.zone, now)
        except Invalid:
            drawing = None
        status = 409 if refused else 422
        return _page(session, facility, typed, errors, drawing, status=status, kept_out=refused)


def _words(session: Session, steps: Sequence[Step]) -> str:
    """Keep the steps in words: on what and for how long, one after the other."""
    rows = instruments.by_codes(session, actor=actor(), codes=[step.code for step in steps if step.code])
    names = {
        row.code: name_of(row) for row in instruments.by_ids(session, instrument_ids=rows.values()).values()
    }

    def of(step: Step) -> str:
        length = format_duration(timedelta(minutes=step.minutes))
        return f"{names.get(step.code) or wish_words(session, step.filters)} {length}"

    return " → ".join(of(step) for step in steps)[: waitlist.LONGEST_WISH]


def _booked(
    facility: Facility,
    typed: Mapping[str, str],
    steps: Sequence[Step],
    within: Span,
    project_id: UUID | None,
    now: datetime,
) -> Answer:
    intake = Intake(typed)
    purpose = intake.text("purpose", longest=LONGEST_TEXT, lines=True)
    if intake.errors:
        with reading() as session:
            return _page(session, facility, typed, intake.errors, None, status=422)
    key = typed["key"]
    key = key if 0 < len(key) <= LONGEST_CODE and key.isascii() and key.isprintable() else fresh_key()
    try:
        with transaction() as session:
            booking = routes.book(
                session,
                actor=actor(),
                steps=steps,
                within=within,
                places=_places(typed["places"]),
                purpose=purpose,
                project_id=project_id,
                key=key,
                fingerprint=fingerprint({name: value for name, value in typed.items() if name != "key"}),
                now=now,
            )
            booking_id, state = booking.id, booking.state
    except Refused as refusal:
        return _refused(facility, typed, steps, within, refusal, now)
    except (Invalid, KeyReused) as error:
        found = _led(error) if isinstance(error, Invalid) else {"key": "reused"}
        with reading() as session:
            return _page(session, facility, {**typed, "key": fresh_key()}, found, None, status=422)
    if state is State.REQUESTED:
        flash(_("Your request is in. The time is held for you until the facility decides."), "success")
    else:
        flash(_("Booked. All steps are yours."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _refused(
    facility: Facility,
    typed: Mapping[str, str],
    steps: Sequence[Step],
    within: Span,
    refusal: Refused,
    now: datetime,
) -> Answer:
    """Say why the route cannot be had any more, with the one that is the earliest now."""
    with reading() as session:
        route = routes.find(session, actor=actor(), steps=steps, within=within, now=now)
        drawing = _drawing(session, route, steps, facility.zone, now)
        return _page(
            session,
            facility,
            {**typed, "places": drawing.places},
            {},
            drawing,
            status=409,
            refused=sentences(refusal.reasons, facility.zone),
        )


def _places(raw: str) -> list[tuple[str, datetime]]:
    """Read what the page said of the places: codes and instants in turn.

    :raises Invalid: if that is not what it said
    """
    parts = raw.split()
    try:
        found = [(code, datetime.fromisoformat(at)) for code, at in zip(parts[::2], parts[1::2], strict=True)]
    except ValueError:
        raise Invalid({"places": "malformed"}) from None
    if any(at.tzinfo is None for _code, at in found):
        raise Invalid({"places": "malformed"})
    return found


_OF_STEP = {"minutes": "hours", "instrument_id": "what", "lag": "most", "draws": "what", "family": "family"}


def _led(error: Invalid) -> dict[str, str]:
    """Lead what the service calls wrong to the form's own fields."""
    found = {}
    for name, code in error.errors.items():
        parts = name.split(".")
        if len(parts) == 3 and parts[0] == "steps":
            found[f"{_OF_STEP.get(parts[2], 'what')}-{int(parts[1]) + 1}"] = code
        else:
            found["start_date" if name in {"after", "before"} else "what-1"] = code
    return found


# --- how a route is shown -------------------------------------------------------------------------


def _drawing(session: Session, route: Route, steps: Sequence[Step], zone_name: str, now: datetime) -> Drawing:
    """Draw the days of a route: a lane for each step, with what else takes its instrument."""
    zone = hours.zone(zone_name)
    reasons = sentences(route.reasons, zone_name)
    if not route.items:
        return Drawing(route, (), None, reasons, "", zone_name)
    first, last = route.items[0].span.start, route.items[-1].span.end
    day = first.astimezone(zone).date()
    days = min((last.astimezone(zone).date() - day).days + 1, DRAWN_DAYS)
    whole = days_from(day, days, zone)
    ids = sorted({item.instrument_id for item in route.items})
    bars = availability.occupations(session, actor=actor(), instrument_ids=ids, within=whole, now=now)
    # What is held for the reader is no hindrance to them.
    bars = [bar for bar in bars if not (bar.mine and bar.kind is Kind.HOLD)]
    opened = availability.opening(session, instrument_ids=ids, within=whole)
    paper = timeline.paper(
        day,
        days,
        zone,
        opened=[span for spans in opened.values() for span in spans],
        spans=[item.span for item in route.items],
    )
    lanes = _lanes(session, route, steps, paper, opened, bars)
    places = " ".join(f"{lane.code} {lane.span.start.astimezone(UTC).isoformat()}" for lane in lanes)
    return Drawing(route, lanes, paper, reasons, places, zone_name)


def _lanes(
    session: Session,
    route: Route,
    steps: Sequence[Step],
    paper: timeline.Paper,
    opened: Mapping[int, Sequence[Span]],
    bars: Sequence[availability.Bar],
) -> list[Lane]:
    known = instruments.listed(
        session, actor=actor(), instrument_ids=[item.instrument_id for item in route.items]
    )
    found: list[Lane] = []
    for number, (item, row) in enumerate(zip(route.items, route.instruments, strict=True), 1):
        mine = [bar for bar in bars if bar.instrument_id == item.instrument_id]
        found.append(
            Lane(
                number,
                name_of(row),
                row.code,
                name_of(known[row.id].facility),
                item.span,
                item.span.start - found[-1].span.end if found else None,
                steps[number - 1].family,
                timeline.row(paper, opened[item.instrument_id], mine, width=timeline.STRIP),
                paper.place(item.span),
                timedelta(minutes=steps[number - 1].minutes),
            )
        )
    return found


def _page(
    session: Session,
    facility: Facility,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    drawing: Drawing | None,
    *,
    status: int = 200,
    refused: Sequence[Said] = (),
    kept_out: Sequence[Said] = (),
    held: Any = None,
) -> Answer:
    own = projects.of_actor(session, actor=actor())
    shared = processes.utilities(session, facility_ids=[facility.id])
    page = render_template(
        "processes/new.html",
        facility=facility,
        typed=typed,
        rows=range(1, ROWS + 1),
        choices=_choices(session, facility),
        shared=shared,
        families=processes.families(session, facility=facility),
        projects=[("", _("No project")), *((str(one.id), f"{one.code} · {one.name}") for one in own)],
        errors=said(errors, _labels()),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
        drawing=drawing,
        refused=refused,
        kept_out=kept_out,
        found_options=found_options(),
        usual_until=_usual_until(typed, facility),
        held={**told, "renewable": False} if (told := holding.told(held)) else None,
        zone=facility.zone,
        keeps=may(actor(), "process.edit", Subject(facility_id=facility.id)),
        longest=LONGEST_TEXT,
        now=utc_now(),
    )
    return page, status


def _usual_until(typed: Mapping[str, str], facility: Facility) -> str:
    """Give the last day of a wait unless another is said: as far as a route is looked for."""
    after = Intake(typed).instant("start", hours.zone(facility.zone)) or utc_now()
    day = (max(after, utc_now()) + routes.REACH).astimezone(hours.zone(facility.zone)).date()
    return day.isoformat()


def _labels() -> dict[str, str]:
    words = {
        "what": _("Instrument or class"),
        "ability": _("Ability"),
        "limit": _("Limit"),
        "figure": _("Figure"),
        "hours": _("Hours"),
        "least": _("At least so many hours after the step before"),
        "most": _("At most so many hours after it"),
        "family": _("Family of work"),
    }
    found = {
        f"{part}-{row}": _("%(field)s (row %(row)s)", field=word, row=row)
        for row in range(1, ROWS + 1)
        for part, word in words.items()
    }
    return (
        found
        | {"start_date": _("Not before"), "start_time": _("Not before"), "project": _("Project")}
        | {
            "until": _("Until this day"),
            "found": _("When a time is found"),
            "purpose": _("What for"),
        }
    )


def _choices(session: Session, facility: Facility) -> list[tuple[str, Any]]:
    """Give what a step may be done on: any of a class of which there are several, or one instrument."""
    codes = instruments.of_facility(session, actor=actor(), code=facility.code)
    rows = instruments.listed(session, actor=actor(), instrument_ids=codes)
    usable = sorted((row for row in rows.values() if row.bookable), key=lambda row: row.code)
    return [
        ("", _("No step")),
        *([(_("Any of a class"), classes)] if (classes := _classes(session, usable)) else []),
        *([(_("Instrument"), [(f"i:{row.code}", f"{name_of(row)} · {row.code}") for row in usable])]),
    ]


def _classes(session: Session, rows: Sequence[Instrument]) -> list[tuple[str, str]]:
    counts: dict[str, int] = {}
    for row in rows:
        if row.category_code:
            counts[row.category_code] = counts.get(row.category_code, 0) + 1
    names = {one.code: name_of(one) for one in catalogue.categories(session)} if counts else {}
    return [
        (f"c:{code}", _("%(name)s (any of %(num)d)", name=names.get(code, code), num=count))
        for code, count in sorted(counts.items())
        if count > 1
    ]


# --- moving a process as one ----------------------------------------------------------------------


@blueprint.get("/bookings/<uuid:booking_id>/move", endpoint="move_process")
@needs("booking.change")
def show_move(booking_id: UUID) -> Answer:
    """Show where all steps of a booking would move together."""
    return _move_page(booking_id, request.args.get("date", ""), request.args.get("time", ""))


@blueprint.post("/bookings/<uuid:booking_id>/move")
@needs("booking.change")
def submit_move(booking_id: UUID) -> Answer:
    """Move all steps of a booking together."""
    typed = fields("date", "time", "version", "find")
    now = utc_now()
    with reading() as session:
        zone = _movable(session, booking_id, now).items[0].instrument.facility.zone
    after = _after(typed["date"], typed["time"], hours.zone(zone))
    if typed["find"] or after is None:
        return _move_page(booking_id, typed["date"], typed["time"])
    try:
        with transaction() as session:
            routes.move(
                session,
                actor=actor(),
                booking_id=booking_id,
                within=Span(after, after + routes.REACH),
                version=version_of(typed["version"]),
                now=now,
            )
    except Refused as refusal:
        return booking_page(booking_id, status=409, problem=refusal.reasons)
    except Stale:
        return booking_page(booking_id, status=412, stale=True)
    flash(_("Moved, all steps together."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _movable(session: Session, booking_id: UUID, now: datetime) -> Booking:
    """Give the booking of several steps that the actor may move.

    :raises NotFound: if there is none, or it has one step only
    """
    booking = bookings.get(session, actor=actor(), booking_id=booking_id, now=now)
    bookings.require_change(actor(), booking)
    if len(booking.items) < 2:
        raise NotFound("booking", booking_id)
    return booking


def _after(day: str, time: str, zone: ZoneInfo) -> datetime | None:
    return Intake({"at_date": day, "at_time": time}).instant("at", zone) if day and time else None


def _move_page(booking_id: UUID, day: str, time: str) -> Answer:
    now = utc_now()
    with reading() as session:
        booking = _movable(session, booking_id, now)
        zone = booking.items[0].instrument.facility.zone
        after = _after(day, time, hours.zone(zone))
        drawing, status = None, 200
        if after is not None:
            route = routes.later(
                session,
                actor=actor(),
                booking_id=booking_id,
                within=Span(after, after + routes.REACH),
                now=now,
            )
            steps, _rows = routes.steps_of(session, booking)
            drawing = _drawing(session, route, steps, zone, now)
            status = 200 if route.allowed else 409
        start = (after or booking.starts_at).astimezone(hours.zone(zone))
        page = render_template(
            "processes/move.html",
            booking=booking,
            zone=zone,
            drawing=drawing,
            day=day or start.date().isoformat(),
            time=time or start.strftime("%H:%M"),
            wrong=bool(day or time) and after is None,
            now=now,
        )
    return page, 422 if (day or time) and after is None else status

"""The form of a booking: a new one, and the change of one that there is."""

import functools
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import Forbidden, Subject, may
from booking.domain.chemicals import MOST as MOST_CHEMICALS
from booking.domain.chemicals import Substance, told
from booking.domain.chemicals import mistakes as mistakes_in
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Item
from booking.domain.resolution.alternatives import MOST_PARTS
from booking.domain.rules import Invalid, Policy, Reason, Refused
from booking.domain.spans import Span
from booking.http import crowds
from booking.http.context import for_programs, settings
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.idempotency import fingerprint
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import ngettext
from booking.services import (
    acting,
    approval_steps,
    availability,
    bookings,
    instrument_files,
    instruments,
    move_questions,
    policies,
    projects,
    waitlist,
)
from booking.services.acting import Colleague
from booking.services.bookings import KeyReused, Stale
from booking.services.calendar_replies import LONGEST_COMMENT
from booking.web import abilities, blueprint, chemicals, nudges
from booking.web import holds as holding
from booking.web.bookings import booking_page, deeds, done_alone, version_of
from booking.web.forms import (
    LONGEST_ADDRESS,
    LONGEST_CODE,
    LONGEST_TEXT,
    MOST_UNITS,
    Intake,
    as_code,
    labels,
    said,
    typed_local,
    typed_span,
)
from booking.web.judgement import Judgement, Wish, judge
from booking.web.papers import beside
from models import Booking, BookingItem, Hold, Instrument, Project

Answer = str | Response | Redirect | tuple[str, int]

SPAN_FIELDS = ("start_date", "start_time", "end_date", "end_time")
NEW_FIELDS = (
    "instrument",
    *SPAN_FIELDS,
    *("quantity", "more", "purpose", "project", "booked_for", "booked_for_other", "confidential", "shown"),
    "needed_by",
    *("override_reason", "key"),
    *("check", "instead"),
    *abilities.FIELDS,
)
CHEMICAL_FIELDS = chemicals.field_names(chemicals.ROWS)
ALL_CHEMICALS = chemicals.field_names()
CHANGE_FIELDS = (
    *("version", "purpose", "confidential", "shown", "declares"),
    *("check", "instead", "override_reason", "ask", "ask_days", "ask_comment"),
)
SHEET = "sheet"
"""The part of the page that a calendar opens over itself."""

ITEM_FIELDS = ("instrument", *SPAN_FIELDS, "quantity")


SOMEBODY_ELSE = "@"
"""What the list of those whom one may book for says when the address is typed beside it."""

ALONE = "alone"
"""What the button sends that gives the further parts of a use up."""


# --- a new one ------------------------------------------------------------------------------------


def back_to_the_form(view: Callable[..., Answer]) -> Callable[..., Answer]:
    """Bring who was signed out while filling the form back to it, times as typed, after signing in."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Answer:
        try:
            return view(*args, **kwargs)
        except Forbidden as refusal:
            if not refusal.sign_in or for_programs():
                raise
            names = ("instrument", *SPAN_FIELDS, "quantity")
            kept: dict[str, Any] = {name: value for name in names if (value := request.form.get(name))}
            wanted = url_for("web.new_booking", **kept)
            return redirect(url_for("web.sign_in", next=wanted), 303)

    return guarded


@blueprint.get("/bookings/new", endpoint="new_booking")
@needs("booking.place")
def show_new_booking() -> Answer:
    """Show the form; with values in the address it already tells the price and what the rules say."""
    code = as_code(request.args.get("instrument"))
    if not code:
        return redirect(url_for("web.catalogue"), 303)
    now = utc_now()
    with reading() as session:
        instrument = instruments.by_code(session, actor=actor(), code=code)
        own = projects.of_actor(session, actor=actor())
        typed = _from_address(session, instrument, own, now)
        part = request.args.get("part") == "verdict"
        if part:
            typed |= {name: request.args.get(name, "") for name in CHEMICAL_FIELDS}
        typed = nudges.nudged(session, typed, instrument, now)
        wish = _new_wish(session, typed, instrument, own, typing=part)
        if not any(typed[name] for name in SPAN_FIELDS):
            wish = replace(wish, errors={})  # nobody typed anything wrong: nothing was free to propose
        judged = judge(session, wish, [instrument], typed, now)
    if part:
        return _fragment(judged, wish, instrument)
    return _new_page(typed, wish, judged, instrument, own, status=422 if wish.errors else 200)


@blueprint.post("/bookings/new")
@back_to_the_form
@needs("booking.place")
def place_booking() -> Answer:
    """Book; or only check, or take an alternative into the form."""
    extra = ("renew", "join", "nudge", "part")
    typed = fields(*NEW_FIELDS, *extra, *CHEMICAL_FIELDS, many=chemicals.box_names(chemicals.ROWS))
    asked = bool(typed["check"] or typed["instead"] or typed["renew"] or typed["nudge"])
    typed = _with_instead(typed)
    now = utc_now()
    with reading() as session:
        instrument = instruments.by_code(session, actor=actor(), code=as_code(typed["instrument"]))
        typed = nudges.nudged(session, typed, instrument, now)
        own = projects.of_actor(session, actor=actor())
        wish = _new_wish(session, typed, instrument, own)
        if asked or wish.items is None:
            judged = judge(session, wish, [instrument], typed, now)
    if asked or wish.items is None:
        held = _held(typed["renew"], wish, judged)
        status = 422 if wish.errors else 200
        return _new_page(typed, wish, judged, instrument, own, status=status, held=held)
    if typed["join"]:
        return _wait(typed, wish, instrument, own, now)
    key = _key(typed)
    mark = fingerprint(
        {name: typed[name] for name in NEW_FIELDS[:-3]}
        | {"chemicals": [told(one) for one in wish.chemicals or ()]}
    )
    items = wish.items
    try:
        if wish.booked_for is None and not typed["override_reason"]:
            crowds.refuse_what_is_gone(
                lambda _session: items,
                key=key,
                fingerprint=mark,
                project_id=wish.project_id,
                chemicals=wish.chemicals or (),
                now=now,
            )
        with transaction() as session:
            booking = bookings.place(
                session,
                actor=actor(),
                items=wish.items,
                purpose=wish.purpose,
                project_id=wish.project_id,
                confidential=wish.confidential,
                booked_for=wish.booked_for,
                chemicals=wish.chemicals or (),
                key=key,
                fingerprint=mark,
                override=typed["override_reason"],
                needed_by=wish.needed_by,
                now=now,
            )
            booking_id = booking.id
    except Refused as refusal:
        with reading() as session:
            judged = judge(session, wish, [instrument], typed, now, refusal=refusal)
        return _new_page(typed, wish, judged, instrument, own, status=409)
    except KeyReused:
        with reading() as session:
            judged = judge(session, wish, [instrument], typed, now)
        typed["key"] = fresh_key()
        return _new_page(typed, wish, judged, instrument, own, status=409, used=True)
    except Invalid as error:
        wish = _mistaken(wish, error)
        return _new_page(typed, wish, Judgement(), instrument, own, status=422)
    if typed["part"] == SHEET:
        return done_alone(booking_id), 201
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _held(renew: str, wish: Wish, judged: Judgement) -> Hold | None:
    """Hold the time of a form that was checked, so that nobody else takes it while it is filled."""
    if not judged.allowed or wish.items is None:
        return None
    return (holding.renew(renew) if renew else None) or holding.take(wish.items)


def _wait(
    typed: Mapping[str, str], wish: Wish, instrument: Instrument, own: Sequence[Project], now: datetime
) -> Answer:
    """Wait in line for the time of the form."""
    item = (wish.items or ())[0]
    try:
        with transaction() as session:
            waitlist.join(
                session,
                actor=actor(),
                instrument_ids=[item.instrument_id],
                window=item.span,
                minutes=int(item.span.minutes),
                quantity=item.quantity,
                project_id=wish.project_id,
                purpose=wish.purpose[: waitlist.LONGEST_PURPOSE],
                now=now,
            )
    except Refused as refusal:
        with reading() as session:
            judged = judge(session, wish, [instrument], typed, now, refusal=refusal)
        return _new_page(typed, wish, judged, instrument, own, status=409)
    except Invalid as error:
        return _new_page(typed, _mistaken(wish, error), Judgement(), instrument, own, status=422)
    flash(_("You are in line. When the time comes free you are asked, by mail and here."), "success")
    return redirect(url_for("web.waitlist"), 303)


def _from_address(
    session: Session, instrument: Instrument, own: Sequence[Project], now: datetime
) -> dict[str, str]:
    """Read the form's values from the address; the project is the one that was probably meant.

    Without a time it is the next free one, without an end the shortest use.
    """
    given = {name: request.args.get(name, "") for name in (*NEW_FIELDS, "nudge", "part")}
    usual = projects.usual(session, actor=actor(), own=own, instrument_id=instrument.id)
    if "project" not in request.args and usual is not None:
        given["project"] = str(usual.id)
    zone = hours.zone(instrument.facility.zone)
    for name in ("start", "end"):
        if request.args.get(name):
            given |= typed_local(name, request.args[name], zone)
    given["quantity"] = given["quantity"] or "1"
    given["key"] = fresh_key()
    if not given["shown"]:
        hidden = bookings.confidential_by_default(session, actor=actor(), instrument=instrument)
        given["confidential"] = "1" if hidden else ""
    if not any(given[name] for name in SPAN_FIELDS):
        found = availability.next_free(
            session, instrument_ids=[instrument.id], now=now, person_id=actor().person_id
        )
        if (span := found[instrument.id]) is not None:
            given |= typed_span(span, zone)
    elif not given["end_time"]:
        start = Intake(given).instant("start", zone)
        if start is not None:
            policy = policies.in_force(session, instrument, person_id=actor().person_id, start=start)
            given |= typed_span(Span(start, start + timedelta(minutes=policy.shortest)), zone)
    return given


def fresh_key() -> str:
    """Give a key that makes a form one booking, however often it is sent."""
    return secrets.token_urlsafe(16)


def _key(typed: Mapping[str, str]) -> str:
    """Give the form's key; who sends none, or not one of ours, books once a click."""
    key = typed["key"]
    return key if 0 < len(key) <= LONGEST_CODE and key.isascii() and key.isprintable() else fresh_key()


def _with_instead(typed: Mapping[str, str]) -> dict[str, str]:
    """Take the alternative whose button was pressed into what was typed; of one in parts the others go beside."""
    if typed["check"] == ALONE:
        return {**typed, "more": ""}
    code, *times = typed["instead"].split(" ")
    if len(times) < 2 or len(times) % 2:
        return dict(typed)
    moved = {**typed, "instrument": code, "instead": "", "more": " ".join(times[2:])}
    for name, raw in zip(("start", "end"), times, strict=False):
        day, _t, time = raw.partition("T")
        moved |= {f"{name}_date": day, f"{name}_time": time}
    return moved


def _more(intake: Intake, instrument: Instrument, quantity: int) -> list[Item]:
    """Read the further parts of a use: pairs of local times."""
    times = intake.raw("more").split()
    zone = hours.zone(instrument.facility.zone)
    found = []
    for start, end in zip(times[::2], times[1::2], strict=False):
        part = Intake({**typed_local("start", start, zone), **typed_local("end", end, zone)})
        span = part.span(zone)
        if span is not None:
            found.append(Item(instrument.id, span, quantity))
    if len(found) * 2 != len(times) or len(found) >= MOST_PARTS:
        intake.errors["more"] = "malformed"
    return found


def _new_wish(
    session: Session,
    typed: Mapping[str, str],
    instrument: Instrument,
    own: Sequence[Project],
    *,
    typing: bool = False,
) -> Wish:
    """Understand the form; while somebody is still typing, chemicals half told are no mistake and do not count."""
    intake = Intake(typed)
    item = _item(intake, instrument)
    needed = abilities.read(intake)
    purpose = intake.text("purpose", longest=LONGEST_TEXT, lines=True)
    project_id = intake.key("project")
    if project_id is not None and project_id not in {project.id for project in own}:
        intake.errors["project"] = "unknown"
    booked_for = None
    chosen = "booked_for_other" if intake.raw("booked_for") == SOMEBODY_ELSE else "booked_for"
    if named := intake.text(chosen, longest=LONGEST_ADDRESS):
        try:
            booked_for = acting.person_called(session, named)
        except Invalid as error:
            intake.errors |= error.errors
    declared = _told_chemicals(typed, chemicals.ROWS, intake, typing=typing)
    parts = _more(intake, instrument, item.quantity) if item is not None else []
    needed_by = intake.day("needed_by") if intake.raw("needed_by") else None
    items = [item, *parts] if item is not None and not intake.errors else None
    return Wish(
        items,
        purpose,
        project_id,
        _confidential(typed),
        intake.errors,
        booked_for,
        declared,
        needed,
        needed_by,
    )


def _told_chemicals(typed: Mapping[str, str], rows: int, intake: Intake, *, typing: bool) -> list[Substance]:
    declared, mistakes = chemicals.read(typed, most=rows)
    if typing:
        return [one for one in declared if not mistakes_in([one])]
    intake.errors |= mistakes
    return declared


def _confidential(typed: Mapping[str, str]) -> bool | None:
    """Give what the tick says; without a form that showed one, what suits organisation and instrument."""
    return bool(typed["confidential"]) if typed["shown"] else None


def _item(
    intake: Intake, instrument: Instrument, *, suffix: str = "", kept: Span | None = None
) -> Item | None:
    """Read one instrument's time and units; a span that was not touched stays the instants that it was."""
    zone = hours.zone(instrument.facility.zone)
    span = intake.span(zone, suffix=suffix)
    quantity = intake.whole(f"quantity{suffix}", least=1, most=MOST_UNITS, default=1)
    if span is None or quantity is None:
        return None
    untouched = kept is not None and typed_span(kept, zone) == typed_span(span, zone)
    return Item(instrument.id, kept if untouched and kept is not None else span, quantity)


_FIELD_OF = {
    "start": "start_date",
    "end": "end_time",
    "items": "start_date",
    "to": "end_date",
    "project_id": "project",
}


def _mistaken(wish: Wish, error: Invalid) -> Wish:
    """Lead what the service calls wrong to the form's own fields."""
    errors = {_FIELD_OF.get(name, name): code for name, code in error.errors.items()}
    return Wish(None, wish.purpose, wish.project_id, wish.confidential, errors)


def others_for(instrument: Instrument, own: Sequence[Project]) -> Sequence[Colleague] | None:
    """Give whom the form offers to book for; None where the reader may book for nobody but themselves."""
    who = actor()
    staff = may(who, acting.ACTION, Subject(facility_id=instrument.facility_id))
    if not (staff or who.leads or any(project.leader_id == who.person_id for project in own)):
        return None
    with reading() as session:
        return acting.offered(session, actor=who)


def _whom(
    instrument: Instrument, own: Sequence[Project], typed: Mapping[str, str]
) -> list[tuple[str, str]] | None:
    """Give for whom one may book, by name, oneself first; None where it is for nobody else."""
    who, now = actor(), utc_now()
    others = others_for(instrument, own)
    if others is None:
        return None
    with reading() as session:
        known = [*others, *acting.regulars(session, actor=who, facility_id=instrument.facility_id, now=now)]
    chosen = {one.email: one.name for one in known}
    named = typed["booked_for"]
    if named and named != SOMEBODY_ELSE and named not in chosen:
        chosen[named] = named
    names = Counter(chosen.values())
    listed = [(email, name if names[name] == 1 else f"{name} ({email})") for email, name in chosen.items()]
    return [
        ("", _("Me: %(name)s", name=who.name)),
        *listed,
        (SOMEBODY_ELSE, _("Somebody else, by address …")),
    ]


def _fragment(judged: Judgement, wish: Wish, instrument: Instrument) -> Answer:
    return render_template(
        "bookings/verdict_alone.html",
        judged=judged,
        errors=said(wish.errors, labels()),
        instrument=instrument,
        change=False,
    )


def _new_page(
    typed: Mapping[str, str],
    wish: Wish,
    judged: Judgement,
    instrument: Instrument,
    own: Sequence[Project],
    *,
    status: int,
    used: bool = False,
    held: Hold | None = None,
) -> Answer:
    policies = _policies([instrument], actor().person_id)
    with reading() as session:
        cover = instrument_files.covers(session, instrument_ids=[instrument.id]).get(instrument.id)
    page = render_template(
        "bookings/sheet_alone.html" if typed["part"] == SHEET else "bookings/new.html",
        held=holding.told(held),
        cover=cover,
        whom=_whom(instrument, own, typed),
        lengths=nudges.lengths(policies[instrument.id], judged.spans[0] if judged.spans else None),
        typed=typed,
        errors=said(wish.errors, labels() | chemicals.labels(chemicals.ROWS)),
        problems={name: wording.error_sentence(code) for name, code in wish.errors.items()},
        chemical_rows=chemicals.retyped(most=chemicals.ROWS),
        hazards=chemicals.hazards(),
        judged=judged,
        instrument=instrument,
        facility=instrument.facility,
        policies=policies,
        zone=instrument.facility.zone,
        projects=[("", _("No project")), *((str(p.id), f"{p.code} · {p.name}") for p in own)],
        longest=LONGEST_TEXT,
        used=used,
        now=utc_now(),
    )
    return page, status


def _policies(places: Sequence[Instrument], person_id: UUID | None) -> dict[int, Policy]:
    now = utc_now()
    with reading() as session:
        found = policies.timetables(session, places, person_id=person_id)
    return {place: timetable.at(now) for place, timetable in found.items()}


# --- changing one ---------------------------------------------------------------------------------


@blueprint.get("/bookings/<uuid:booking_id>/change", endpoint="change_booking")
@needs("booking.change")
def show_change(booking_id: UUID) -> Answer:
    """Show the form that moves, lengthens or shortens a booking."""
    now = utc_now()
    with reading() as session:
        booking = _changeable(session, booking_id)
        if "change" not in deeds(booking, now):
            return redirect(url_for("web.booking", booking_id=booking_id), 303)
        typed = _typed_now(booking)
        asked = {name: value for name in typed if (value := request.args.get(name))}
        if asked:
            typed = {**typed, **asked}
        typed |= {name: request.args.get(name, "") for name in ALL_CHEMICALS}
        wish, places = _changed_wish(session, typed, booking, typing=True)
        judged = judge(session, wish, places, typed, now, booking_id=booking_id) if asked else Judgement()
    if request.args.get("part") == "verdict":
        return render_template(
            "bookings/verdict_alone.html",
            judged=judged,
            errors=said(wish.errors, labels(_suffixes(booking))),
            instrument=places[0],
            change=True,
        )
    return _change_page(booking, typed, wish, judged, places)


@blueprint.post("/bookings/<uuid:booking_id>/change")
@needs("booking.change")
def submit_change(booking_id: UUID) -> Answer:
    """Change a booking; or only check, or take an alternative into the form."""
    now = utc_now()
    with reading() as session:
        booking = _changeable(session, booking_id)
        names = [f"{name}{suffix}" for suffix in _suffixes(booking) for name in ITEM_FIELDS]
        typed = fields(*CHANGE_FIELDS, *names, *ALL_CHEMICALS, many=chemicals.box_names())
        asked = bool(typed["check"] or typed["instead"])
        typed = _with_instead(typed)
        wish, places = _changed_wish(session, typed, booking)
        if asked or wish.items is None:
            judged = judge(session, wish, places, typed, now, booking_id=booking_id)
            status = 422 if wish.errors else 200
            return _change_page(booking, typed, wish, judged, places, status=status)
    if typed["ask"]:
        return _ask_owner(booking, typed, wish, places, now)
    try:
        with transaction() as session:
            changed = bookings.change(
                session,
                actor=actor(),
                booking_id=booking_id,
                version=version_of(typed["version"]),
                items=wish.items,
                purpose=wish.purpose,
                confidential=wish.confidential,
                chemicals=wish.chemicals,
                override=typed["override_reason"],
                now=now,
            )
            same, state = changed.version == version_of(typed["version"]), changed.state
    except Refused as refusal:
        with reading() as session:
            judged = judge(session, wish, places, typed, now, booking_id=booking_id, refusal=refusal)
        return _change_page(booking, typed, wish, judged, places, status=409)
    except Invalid as error:
        return _change_page(booking, typed, _mistaken(wish, error), Judgement(), places, status=422)
    except Stale:
        return _stale_page(booking_id, typed, now)
    except WrongMove as error:
        figures = {"state": error.state.value, "action": error.action.value}
        return booking_page(booking_id, status=409, problem=[Reason("wrong_state", figures)])
    if same:
        flash(_("Nothing was changed."), "message")
    elif state is State.REQUESTED:
        flash(_("Changed. The facility has to approve it; the time is held until then."), "success")
    else:
        flash(_("Changed."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _changeable(session: Session, booking_id: UUID) -> Booking:
    booking = bookings.get(session, actor=actor(), booking_id=booking_id)
    if not bookings.may_on(actor(), "booking.change", booking):
        raise Forbidden("booking.change")
    return booking


def _suffixes(booking: Booking) -> list[str]:
    return ["" if number == 0 else f"-{number + 1}" for number in range(len(booking.items))]


def _typed_now(booking: Booking) -> dict[str, str]:
    """Give what one would type to have the booking as it is."""
    typed = {
        **dict.fromkeys(("check", "instead", "override_reason", "declares", "ask_comment"), ""),
        "ask_days": str(move_questions.USUAL_DAYS),
        "version": str(booking.version),
        "purpose": booking.purpose,
        "confidential": "1" if booking.confidential else "",
        "shown": "1",
    }
    for suffix, item in zip(_suffixes(booking), booking.items, strict=True):
        zone = hours.zone(item.instrument.facility.zone)
        typed |= typed_span(Span(item.starts_at, item.ends_at), zone, suffix=suffix)
        typed[f"instrument{suffix}"] = item.instrument.code
        typed[f"quantity{suffix}"] = str(item.quantity)
    return typed


def _changed_wish(
    session: Session, typed: Mapping[str, str], booking: Booking, *, typing: bool = False
) -> tuple[Wish, list[Instrument]]:
    """Understand the form; one that shows no chemicals leaves them as they are."""
    intake = Intake(typed)
    items: list[Item] = []
    places: list[Instrument] = []
    for suffix, row in zip(_suffixes(booking), booking.items, strict=True):
        place = _place(session, typed.get(f"instrument{suffix}", ""), row)
        kept = Span(row.starts_at, row.ends_at) if place.id == row.instrument_id else None
        item = _item(intake, place, suffix=suffix, kept=kept)
        places.append(place)
        items += [item] if item is not None else []
    purpose = intake.text("purpose", longest=LONGEST_TEXT, lines=True)
    declared = _told_chemicals(typed, MOST_CHEMICALS, intake, typing=typing) if typed["declares"] else None
    whole = items if not intake.errors and len(items) == len(booking.items) else None
    wish = Wish(whole, purpose, booking.project_id, _confidential(typed), intake.errors, chemicals=declared)
    return wish, places


def _place(session: Session, code: str, row: BookingItem) -> Instrument:
    """Give the instrument that the form names: the booking's own, published or not, or another one."""
    if not code or code == row.instrument.code:
        return row.instrument
    return instruments.by_code(session, actor=actor(), code=as_code(code))


def _stale_page(booking_id: UUID, typed: Mapping[str, str], now: datetime) -> Answer:
    """Show what the booking is by now beside what was typed; sent again, it changes the present version."""
    with reading() as session:
        booking = _changeable(session, booking_id)
        if "change" not in deeds(booking, now):
            return booking_page(booking_id, status=412, stale=True)
        typed = {**_typed_now(booking), **typed, "version": str(booking.version)}
        wish, places = _changed_wish(session, typed, booking)
        judged = judge(session, wish, places, typed, now, booking_id=booking_id)
    return _change_page(booking, typed, wish, judged, places, status=412, stale=True)


def _ask_owner(
    booking: Booking, typed: Mapping[str, str], wish: Wish, places: Sequence[Instrument], now: datetime
) -> Answer:
    """Ask the owner whether it may be moved, rather than moving it; only the new time is asked."""
    span = wish.items[0].span if wish.items else Span(booking.starts_at, booking.ends_at)
    intake = Intake(typed)
    days = intake.whole("ask_days", least=1, most=max(move_questions.DAYS), default=move_questions.USUAL_DAYS)
    comment = intake.text("ask_comment", longest=LONGEST_COMMENT, lines=True)
    try:
        intake.demand()
        with transaction() as session:
            move_questions.ask(
                session,
                actor=actor(),
                booking_id=booking.id,
                span=span,
                comment=comment,
                days=days or move_questions.USUAL_DAYS,
                key=settings().key(),
                now=now,
            )
    except Refused as refusal:
        with reading() as session:
            judged = judge(session, wish, places, typed, now, booking_id=booking.id, refusal=refusal)
        return _change_page(booking, typed, wish, judged, places, status=409)
    except Invalid as error:
        return _change_page(booking, typed, _mistaken(wish, error), Judgement(), places, status=422)
    words = _(
        "Asked: the booking stays as it is until %(name)s says yes, and the other time is held meanwhile.",
        name=booking.person.name,
    )
    flash(words, "success")
    return redirect(url_for("web.booking", booking_id=booking.id), 303)


def _change_page(
    booking: Booking,
    typed: Mapping[str, str],
    wish: Wish,
    judged: Judgement,
    places: Sequence[Instrument],
    *,
    status: int = 200,
    stale: bool = False,
) -> Answer:
    now = utc_now()
    with reading() as session:
        around = beside(session, booking, now)
        found = approval_steps.declared(session, booking_id=booking.id)
        asked = move_questions.open_for(session, booking=booking, now=now)
    page = render_template(
        "bookings/change.html",
        booking=booking,
        typed=typed,
        beside=around,
        chemical_rows=chemicals.retyped() if request.form.get("declares") else chemicals.typed(found),
        hazards=chemicals.hazards(),
        errors=said(wish.errors, labels(_suffixes(booking)) | chemicals.labels()),
        problems={name: wording.error_sentence(code) for name, code in wish.errors.items()},
        judged=judged,
        places=list(zip(_suffixes(booking), places, strict=True)),
        instrument=places[0],
        facility=places[0].facility,
        policies=_policies(places, booking.person_id),
        zone=places[0].facility.zone,
        asks_owner=move_questions.may_ask(actor(), booking) and booking.starts_at > now,
        answer_days=[
            (str(count), ngettext("%(num)s working day", "%(num)s working days", count, num=count))
            for count in move_questions.DAYS
        ],
        asked=asked,
        longest_comment=LONGEST_COMMENT,
        asks_anew=booking.state is State.CONFIRMED and any(place.approval_required for place in places),
        longest=LONGEST_TEXT,
        stale=stale,
        now=now,
    )
    return page, status

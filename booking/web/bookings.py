"""Booking and what follows: the form, one's own bookings, the page of one, and what can be done to it."""

import functools
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import i18n, wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import Actor, Forbidden
from booking.domain.calendars import CalendarItem, FeedHead, Status, event_uid, render_event, render_feed
from booking.domain.lifecycle import Action, State, WrongMove, possible
from booking.domain.occupation import Item, Kind, padded
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.http.context import for_programs, local_path, public_url_for, settings
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.idempotency import fingerprint
from booking.http.identity import actor, identity, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import availability, bookings, instruments, projects
from booking.services.availability import Alternative
from booking.services.bookings import Estimate, HistoryLine, KeyReused, Part, Stale
from booking.web import blueprint, timeline
from booking.web.forms import (
    LONGEST_CODE,
    LONGEST_NOTE,
    LONGEST_TEXT,
    MOST_UNITS,
    Intake,
    as_code,
    local_time,
    said,
    typed_local,
    typed_span,
    with_link,
)
from models import Booking, BookingItem, Instrument, Project

Answer = str | Response | Redirect | tuple[str, int]

SPAN_FIELDS = ("start_date", "start_time", "end_date", "end_time")
NEW_FIELDS = (
    "instrument",
    *SPAN_FIELDS,
    *("quantity", "purpose", "project", "confidential", "shown", "key", "check", "instead"),
)
ITEM_FIELDS = ("instrument", *SPAN_FIELDS, "quantity")

STRIP_DAYS = 7
"""The drawing under the form shows no more days of a long use."""

RATINGS = range(1, 6)


def templates_know() -> None:
    """Give templates the words of bookings."""
    for name, say in (
        ("span", i18n.format_span),
        ("day_of_month", lambda at, zone: at.astimezone(hours.zone(zone)).day),
        ("month_of", lambda at, zone: i18n.format_date(at, zone, "month")),
        ("iso_day", lambda at, zone: at.astimezone(hours.zone(zone)).date().isoformat()),
    ):
        blueprint.app_template_filter(name)(say)
    for name, word in (
        ("state_name", wording.state_name),
        ("kind_name", wording.kind_name),
        ("zone_beside", zone_beside),
    ):
        blueprint.app_template_global(name)(word)


def zone_beside(zone: str, at: datetime) -> str | None:
    """Give the reader's own zone where its clock differs from the facility's at a time."""
    own = identity().zone
    if not own or own == zone:
        return None
    differs = at.astimezone(hours.zone(own)).utcoffset() != at.astimezone(hours.zone(zone)).utcoffset()
    return own if differs else None


# --- the form -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A reason in the reader's words."""

    message: str
    overridable: bool


@dataclass(frozen=True)
class Instead:
    """What can be had instead; `value` is what its button sends, the rest is what it says."""

    value: str
    name: str
    span: str
    why: str
    start: datetime
    end: datetime
    here: bool


@dataclass(frozen=True)
class Strip:
    """The day, or the days, of a wish on its instrument's row."""

    paper: timeline.Paper
    row: timeline.Row
    wish: tuple[int, int] | None


@dataclass(frozen=True)
class Judgement:
    """What the rules say of a wish before it is sent; `allowed` is None while there is no whole wish."""

    allowed: bool | None = None
    needs_approval: bool = False
    reasons: Sequence[Said] = ()
    alternatives: Sequence[Instead] = ()
    estimate: Estimate | None = None
    spans: Sequence[Span] = ()
    strip: Strip | None = None
    zone: str = "UTC"


@dataclass(frozen=True)
class Wish:
    """What a form asks for, understood; `items` is None where something of it was not."""

    items: list[Item] | None
    purpose: str
    project_id: UUID | None
    confidential: bool | None
    errors: Mapping[str, str] = field(default_factory=dict)


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
            kept = {name: request.form[name] for name in names if request.form.get(name)}
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
        typed = _from_address(session, instrument, now)
        part = request.args.get("part") == "verdict"
        wish = _new_wish(typed, instrument, actor_projects := projects.of_actor(session, actor=actor()))
        judged = _judge(session, wish, [instrument], typed, now)
    if part:
        return _fragment(judged, wish, instrument)
    return _new_page(typed, wish, judged, instrument, actor_projects, status=422 if wish.errors else 200)


@blueprint.post("/bookings/new")
@back_to_the_form
@needs("booking.place")
def place_booking() -> Answer:
    """Book; or only check, or take an alternative into the form."""
    typed = fields(*NEW_FIELDS)
    asked = bool(typed["check"] or typed["instead"])
    typed = _with_instead(typed)
    now = utc_now()
    with reading() as session:
        instrument = instruments.by_code(session, actor=actor(), code=as_code(typed["instrument"]))
        own = projects.of_actor(session, actor=actor())
        wish = _new_wish(typed, instrument, own)
        if asked or wish.items is None:
            judged = _judge(session, wish, [instrument], typed, now)
            return _new_page(typed, wish, judged, instrument, own, status=422 if wish.errors else 200)
    try:
        with transaction() as session:
            booking = bookings.place(
                session,
                actor=actor(),
                items=wish.items,
                purpose=wish.purpose,
                project_id=wish.project_id,
                confidential=wish.confidential,
                key=_key(typed),
                fingerprint=fingerprint({name: typed[name] for name in NEW_FIELDS[:-3]}),
                now=now,
            )
            booking_id, state = booking.id, booking.state
    except Refused as refusal:
        with reading() as session:
            judged = _judge(session, wish, [instrument], typed, now, refusal=refusal)
        return _new_page(typed, wish, judged, instrument, own, status=409)
    except KeyReused:
        with reading() as session:
            judged = _judge(session, wish, [instrument], typed, now)
        typed["key"] = _fresh_key()
        return _new_page(typed, wish, judged, instrument, own, status=409, used=True)
    except Invalid as error:
        wish = _mistaken(wish, error)
        return _new_page(typed, wish, Judgement(), instrument, own, status=422)
    if state is State.REQUESTED:
        flash(_("Your request is in. The time is held for you until the facility decides."), "success")
    else:
        flash(_("Booked. The time is yours."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _from_address(session: Session, instrument: Instrument, now: datetime) -> dict[str, str]:
    """Read the form's values from the address; a missing time is the next free one, a missing end the shortest use."""
    given = {name: request.args.get(name, "") for name in NEW_FIELDS}
    zone = hours.zone(instrument.facility.zone)
    for name in ("start", "end"):
        if request.args.get(name):
            given |= typed_local(name, request.args[name], zone)
    given["quantity"] = given["quantity"] or "1"
    given["key"] = _fresh_key()
    if not given["shown"]:
        hidden = bookings.confidential_by_default(session, actor=actor(), instrument=instrument)
        given["confidential"] = "1" if hidden else ""
    if not any(given[name] for name in SPAN_FIELDS):
        found = availability.next_free(session, actor=actor(), instrument_ids=[instrument.id], now=now)
        if (span := found[instrument.id]) is not None:
            given |= typed_span(span, zone)
    elif not given["end_time"]:
        start = Intake(given).instant("start", zone)
        if start is not None:
            shortest = timedelta(minutes=instrument.shortest_minutes)
            given |= typed_span(Span(start, start + shortest), zone)
    return given


def _fresh_key() -> str:
    return secrets.token_urlsafe(16)


def _key(typed: Mapping[str, str]) -> str:
    """Give the form's key; who sends none, or not one of ours, books once a click."""
    key = typed["key"]
    return key if 0 < len(key) <= LONGEST_CODE and key.isascii() and key.isprintable() else _fresh_key()


def _with_instead(typed: Mapping[str, str]) -> dict[str, str]:
    """Take the alternative whose button was pressed into what was typed."""
    code, _first, rest = typed["instead"].partition(" ")
    start, _second, end = rest.partition(" ")
    if not (code and start and end):
        return dict(typed)
    moved = {**typed, "instrument": code, "instead": ""}
    for name, raw in (("start", start), ("end", end)):
        day, _t, time = raw.partition("T")
        moved |= {f"{name}_date": day, f"{name}_time": time}
    return moved


def _new_wish(typed: Mapping[str, str], instrument: Instrument, own: Sequence[Project]) -> Wish:
    intake = Intake(typed)
    item = _item(intake, instrument)
    purpose = intake.text("purpose", longest=LONGEST_TEXT, lines=True)
    project_id = intake.key("project")
    if project_id is not None and project_id not in {project.id for project in own}:
        intake.errors["project"] = "unknown"
    items = [item] if item is not None and not intake.errors else None
    return Wish(items, purpose, project_id, _confidential(typed), intake.errors)


def _confidential(typed: Mapping[str, str]) -> bool | None:
    """Give what the tick says; without a form that showed one, what suits organisation and instrument."""
    return bool(typed["confidential"]) if typed["shown"] else None


def _item(
    intake: Intake, instrument: Instrument, *, suffix: str = "", kept: Span | None = None
) -> Item | None:
    """Read one instrument's time and units. A span that was not touched stays the very instants that it was."""
    zone = hours.zone(instrument.facility.zone)
    span = intake.span(zone, suffix=suffix)
    quantity = intake.whole(f"quantity{suffix}", least=1, most=MOST_UNITS, default=1)
    if span is None or quantity is None:
        return None
    untouched = kept is not None and typed_span(kept, zone) == typed_span(span, zone)
    return Item(instrument.id, kept if untouched and kept is not None else span, quantity)


_FIELD_OF = {"start": "start_date", "end": "end_time", "items": "start_date", "to": "end_date"}


def _mistaken(wish: Wish, error: Invalid) -> Wish:
    """Lead what the service calls wrong to the form's own fields."""
    errors = {_FIELD_OF.get(name, name): code for name, code in error.errors.items()}
    return Wish(None, wish.purpose, wish.project_id, wish.confidential, errors)


def _judge(
    session: Session,
    wish: Wish,
    places: Sequence[Instrument],
    typed: Mapping[str, str],
    now: datetime,
    *,
    booking_id: UUID | None = None,
    refusal: Refused | None = None,
) -> Judgement:
    """Ask what the rules say and what it costs, and draw the days around; nothing is written."""
    zone = places[0].facility.zone
    if wish.items is None:
        strip = _strip(session, places[0], None, _day_typed(typed), now) if len(places) == 1 else None
        return Judgement(strip=strip, zone=zone)
    try:
        verdict = bookings.dry_run(session, actor=actor(), items=wish.items, booking_id=booking_id, now=now)
    except Invalid:  # the very thing is told when it is sent
        return Judgement(zone=zone)
    reasons = refusal.reasons if refusal is not None else verdict.reasons
    spans = [item.span for item in wish.items]
    found: list[Alternative] = []
    if reasons:
        found = availability.alternatives(
            session, actor=actor(), items=wish.items, now=now, booking_id=booking_id
        )
    return Judgement(
        allowed=not reasons,
        needs_approval=verdict.needs_approval,
        reasons=sentences(reasons, zone),
        alternatives=_instead(session, found, places[0]),
        estimate=verdict.estimate,
        spans=spans,
        strip=_strip(session, places[0], spans[0], None, now) if len(places) == 1 else None,
        zone=zone,
    )


def sentences(reasons: Iterable[Reason], zone: str) -> list[Said]:
    """Word the reasons on the facility's clock."""
    return [
        Said(wording.sentence(reason.code, {"zone": zone, **reason.params}), reason.overridable)
        for reason in reasons
    ]


def _instead(session: Session, found: Sequence[Alternative], asked: Instrument) -> list[Instead]:
    known = {asked.code: asked}
    for one in found:
        if one.code not in known:
            known[one.code] = instruments.by_code(session, actor=actor(), code=one.code)
    result = []
    for one in found:
        place = known[one.code].facility
        zone = hours.zone(place.zone)
        result.append(
            Instead(
                value=f"{one.code} {local_time(one.start, zone)} {local_time(one.end, zone)}",
                name=f"{name_of(known[one.code])} · {name_of(place)}",
                span=i18n.format_span(one.start, one.end, place.zone),
                why=wording.why_name(one.why),
                start=one.start,
                end=one.end,
                here=one.code == asked.code,
            )
        )
    return result


def _day_typed(typed: Mapping[str, str]) -> date | None:
    intake = Intake(typed)
    at = intake.instant("start", hours.zone("UTC")) if intake.raw("start_time") else None
    return at.date() if at is not None else None


def _strip(
    session: Session, instrument: Instrument, wish: Span | None, day: date | None, now: datetime
) -> Strip | None:
    """Draw the instrument's row on the days of a wish, masked for the reader."""
    zone = hours.zone(instrument.facility.zone)
    if wish is not None:
        first = wish.start.astimezone(zone).date()
        last = (wish.end - timedelta(microseconds=1)).astimezone(zone).date()
        days = min((last - first).days + 1, STRIP_DAYS)
    elif day is not None:
        first, days = day, 1
    else:
        return None
    whole = timeline.days_from(first, days, zone)
    bars = availability.occupations(
        session, actor=actor(), instrument_ids=[instrument.id], within=whole, now=now
    )
    opened = availability.opening(session, instrument_ids=[instrument.id], within=whole)[instrument.id]
    spans = [Span(bar.start, bar.end) for bar in bars if bar.kind is Kind.BOOKING]
    paper = timeline.paper(first, days, zone, opened=opened, spans=[*spans, *([wish] if wish else [])])
    return Strip(paper, timeline.row(paper, opened, bars), paper.place(wish) if wish else None)


def _fragment(judged: Judgement, wish: Wish, instrument: Instrument) -> Answer:
    return render_template(
        "bookings/verdict_alone.html",
        judged=judged,
        errors=said(wish.errors, _labels()),
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
) -> Answer:
    page = render_template(
        "bookings/new.html",
        typed=typed,
        errors=said(wish.errors, _labels()),
        problems={name: wording.error_sentence(code) for name, code in wish.errors.items()},
        judged=judged,
        instrument=instrument,
        facility=instrument.facility,
        zone=instrument.facility.zone,
        projects=[("", _("No project")), *((str(p.id), f"{p.code} · {p.name}") for p in own)],
        longest=LONGEST_TEXT,
        used=used,
        now=utc_now(),
    )
    return page, status


def _labels(suffixes: Sequence[str] = ("",)) -> dict[str, str]:
    """Name the fields for the summary of errors."""
    words = {
        "start_date": _("Start date"),
        "start_time": _("Start time"),
        "end_date": _("End date"),
        "end_time": _("End time"),
        "quantity": _("Units"),
    }
    labels = {f"{name}{suffix}": word for suffix in suffixes for name, word in words.items()}
    return labels | {
        "purpose": _("Purpose"),
        "project": _("Project"),
        "reason": _("Reason"),
        "comment": _("Comment"),
        "rating": _("Rating"),
        "condition": _("Condition"),
    }


# --- one's own bookings ---------------------------------------------------------------------------


@blueprint.get("/bookings", endpoint="my_bookings")
@needs("booking.list")
def show_my_bookings() -> str:
    """Show my bookings: ahead, waiting for approval, over."""
    part = {part.value: part for part in Part}.get(request.args.get("show", ""), Part.AHEAD)
    page, page_size = page_wanted(default=20, most=100)
    now = utc_now()
    with reading() as session:
        rows, counts = bookings.own(
            session, actor=actor(), part=part, page=page, page_size=page_size, now=now
        )
    return render_template(
        "bookings/mine.html",
        rows=rows,
        part=part.value,
        tabs=[(one.value, _part_name(one), counts[one]) for one in Part],
        total=counts[part],
        page=page,
        page_size=page_size,
        page_url=page_url,
        again={booking.id: book_again(booking, now) for booking in rows},
        now=now,
    )


def _part_name(part: Part) -> str:
    return {Part.AHEAD: _("Coming up"), Part.WAITING: _("Awaiting approval"), Part.OVER: _("Past")}[part]


def book_again(booking: Booking, now: datetime) -> str:
    """Give the address of a form that asks for the same again: at the same time, or so many weeks later as is ahead."""
    item = booking.items[0]
    zone = hours.zone(item.instrument.facility.zone)
    start, end = item.starts_at.astimezone(zone), item.ends_at.astimezone(zone)
    if start <= now:
        later = timedelta(weeks=1 + (now - start) // timedelta(weeks=1))
        start, end = start + later, end + later  # on the wall clock, so that nine o'clock stays nine o'clock
    return url_for(
        "web.new_booking",
        instrument=item.instrument.code,
        start=start.strftime("%Y-%m-%dT%H:%M"),
        end=end.strftime("%Y-%m-%dT%H:%M"),
        quantity=item.quantity,
    )


# --- one booking ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deed:
    """A line of the history in words; `changes` are pairs of before and after."""

    at: datetime
    words: str
    who: str
    changes: Sequence[tuple[str, str]]


@blueprint.get("/bookings/<uuid:booking_id>", endpoint="booking")
@needs("booking.see")
def show_booking(booking_id: UUID) -> Answer:
    """Show a booking: what, where, when, what happened, and what can be done now."""
    return booking_page(booking_id)


def booking_page(
    booking_id: UUID,
    *,
    status: int = 200,
    problem: Sequence[Reason] = (),
    title: str = "",
    stale: bool = False,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Answer:
    """Render a booking as it stands now, with what went wrong with the last deed, if anything did.

    :raises NotFound: if there is none that the reader may see
    """
    now = utc_now()
    with reading() as session:
        booking = bookings.get(session, actor=actor(), booking_id=booking_id)
        lines = bookings.history(session, actor=actor(), booking_id=booking_id)
        project = projects.by_ids(session, ids=[booking.project_id]).get(booking.project_id)
        estimate = _estimate(session, booking, now)
        closed = _closed(session, booking, now)
    zone = booking.items[0].instrument.facility.zone
    page = render_template(
        "bookings/one.html",
        booking=booking,
        zone=zone,
        one_span=len({(item.starts_at, item.ends_at) for item in booking.items}) == 1,
        project=project,
        estimate=estimate,
        closed=closed,
        history=[_deed(line, zone) for line in lines],
        may_do=deeds(booking, now),
        opens=check_in_opens(booking),
        mine=booking.person_id == actor().person_id,
        again=book_again(booking, now),
        reasons=sentences(problem, zone),
        title=title,
        stale=stale,
        errors=said(errors or {}, _labels()),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        typed=_said_before(booking) | dict(typed or {}),
        ratings=RATINGS,
        now=now,
    )
    return page, status


def _said_before(booking: Booking) -> dict[str, str]:
    """Give what stands in the forms of the page: feedback that was given may be given anew."""
    usage = booking.usage
    return {
        "reason": "",
        "rating": str(usage.rating or "") if usage else "",
        "condition": (usage.condition if usage else "") or "normal",
        "comment": usage.comment if usage else "",
    }


def deeds(booking: Booking, now: datetime) -> set[str]:
    """Give what the reader may do to the booking now."""
    who, moves = actor(), possible(booking.state)
    manages = bookings.may_on(who, "booking.approve", booking)
    wanted = {
        "change": Action.CHANGE in moves and booking.ends_at > now,
        "cancel": Action.CANCEL in moves and (booking.starts_at > now or manages),
        "approve": Action.APPROVE in moves and booking.ends_at > now,
        "reject": Action.REJECT in moves,
        "check_in": Action.CHECK_IN in moves and check_in_opens(booking) <= now < booking.ends_at,
        "check_out": Action.CHECK_OUT in moves,
        "feedback": booking.state is State.ENDED
        or (booking.state is State.CONFIRMED and booking.ends_at <= now),
    }
    asks = {"reject": "booking.approve", "check_out": "booking.check_in"}
    return {
        name
        for name, possible_now in wanted.items()
        if possible_now and bookings.may_on(who, asks.get(name, f"booking.{name}"), booking)
    }


def check_in_opens(booking: Booking) -> datetime:
    """Give the start of the set-up, from which on one may check in."""
    return min(
        padded(Span(item.starts_at, item.ends_at), item.instrument.setup_minutes, 0).start
        for item in booking.items
    )


def _estimate(session: Session, booking: Booking, now: datetime) -> Estimate:
    payer = payer_of(booking)
    return Estimate(tuple(availability.estimates(session, actor=payer, items=items_of(booking), now=now)))


def payer_of(booking: Booking) -> Actor:
    """Give whose prices count: the person's own, and to other readers those of the booking's organisation."""
    if booking.person_id == actor().person_id:
        return actor()
    known = () if booking.organisation_id is None else (booking.organisation_id,)
    return Actor(organisations=frozenset(known))


def items_of(booking: Booking) -> list[Item]:
    """Give what a booking asks for, as services understand it."""
    return [Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity) for row in booking.items]


def _closed(session: Session, booking: Booking, now: datetime) -> list[availability.Bar]:
    """Give the closures that stand in the time of a booking which still means to use it."""
    if booking.state not in {State.REQUESTED, State.CONFIRMED} or booking.ends_at <= now:
        return []
    found = []
    for item in booking.items:
        span = Span(item.starts_at, item.ends_at)
        bars = availability.occupations(
            session, actor=actor(), instrument_ids=[item.instrument_id], within=span, now=now
        )
        found += [bar for bar in bars if bar.kind in {Kind.MAINTENANCE, Kind.CLOSURE}]
    return found


def _deed(line: HistoryLine, zone: str) -> Deed:
    changes = line.data.get("changes") or {}
    return Deed(
        at=line.at,
        words=wording.event_sentence(line.kind, line.data),
        who=line.actor_name or _("Yiqi"),
        changes=[(_value(name, old, zone), _value(name, new, zone)) for name, (old, new) in changes.items()],
    )


def _value(name: str, value: Any, zone: str) -> str:
    """Say what a change was from or to, as the event keeps it."""
    if name == "items":
        return "; ".join(
            f"{code}: {i18n.format_span(datetime.fromisoformat(start), datetime.fromisoformat(end), zone)}"
            + (f" × {quantity}" if quantity > 1 else "")
            for code, start, end, quantity in value
        )
    if name == "confidential":
        return _("Confidential") if value else _("Not confidential")
    return str(value) or _("No purpose")


# --- what can be done to it -----------------------------------------------------------------------


def carry_out(
    booking_id: UUID,
    do: Callable[[Session], Booking],
    done: Callable[[Booking], Any],
    back: str = "",
    *,
    late: str = "",
) -> Answer:
    """Do one thing to a booking, say so and go back; what is refused is told on the booking's own page.

    `late` heads that page where the booking's state allows the deed no more.

    :raises NotFound: if there is none that the actor may see
    :raises Forbidden: if the actor may see it but not do this
    """
    try:
        with transaction() as session:
            booking = do(session)
    except Refused as refusal:
        return booking_page(booking_id, status=409, problem=refusal.reasons)
    except WrongMove as error:
        figures = {"state": error.state.value, "action": error.action.value}
        return booking_page(booking_id, status=409, problem=[Reason("wrong_state", figures)], title=late)
    except Stale:
        return booking_page(booking_id, status=412, stale=True)
    flash(done(booking), "success")
    return redirect(local_path(back, url_for("web.booking", booking_id=booking_id)), 303)


def version_of(raw: str) -> int | None:
    """Give the version that a form was made from; None where it names none.

    :raises Invalid: if it is no number
    """
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 9):
        raise Invalid({"version": "malformed"})
    return int(raw)


@blueprint.post("/bookings/<uuid:booking_id>/cancellation")
@needs("booking.cancel")
def cancel_booking(booking_id: UUID) -> Answer:
    """Give a booking up."""
    form = fields("reason", "version", "back")
    intake = Intake(form)
    reason = intake.text("reason", longest=LONGEST_NOTE, lines=True)
    if intake.errors:
        return booking_page(booking_id, status=422, errors=intake.errors, typed=form)
    now = utc_now()

    def do(session: Session) -> Booking:
        return bookings.cancel(
            session,
            actor=actor(),
            booking_id=booking_id,
            reason=reason,
            version=version_of(form["version"]),
            now=now,
        )

    def done(booking: Booking) -> Any:
        words = (
            _("The request is withdrawn and its time is free again.")
            if booking.state is State.WITHDRAWN
            else _("The booking is cancelled and its time is free again.")
        )
        if booking.person_id != actor().person_id:
            return words
        return with_link(words, book_again(booking, now), _("Book it again"))

    return carry_out(booking_id, do, done, form["back"])


@blueprint.post("/bookings/<uuid:booking_id>/check-in")
@needs("booking.check_in")
def check_in(booking_id: UUID) -> Answer:
    """Note that the person has come."""
    form = fields("back")
    return carry_out(
        booking_id,
        lambda session: bookings.check_in(session, actor=actor(), booking_id=booking_id, now=utc_now()),
        lambda booking: _("%(name)s is checked in.", name=booking.person.name),
        form["back"],
    )


@blueprint.post("/bookings/<uuid:booking_id>/check-out")
@needs("booking.check_in")
def check_out(booking_id: UUID) -> Answer:
    """Note that the person has gone."""
    form = fields("back")
    return carry_out(
        booking_id,
        lambda session: bookings.check_out(session, actor=actor(), booking_id=booking_id, now=utc_now()),
        lambda booking: _(
            "%(name)s is checked out; the time that was left is free.", name=booking.person.name
        ),
        form["back"],
    )


@blueprint.post("/bookings/<uuid:booking_id>/feedback")
@needs("booking.feedback")
def give_feedback(booking_id: UUID) -> Answer:
    """Say how the use went."""
    form = fields("rating", "condition", "comment")
    intake = Intake(form)
    rating = None
    if intake.raw("rating"):
        rating = intake.whole("rating", least=RATINGS[0], most=RATINGS[-1])
    condition = intake.raw("condition")
    if condition not in {"", "normal", "faulty"}:
        intake.errors["condition"] = "unknown"
    comment = intake.text("comment", longest=LONGEST_TEXT, lines=True)
    if not (rating or condition or comment or intake.errors):
        intake.errors["rating"] = "required"
    if intake.errors:
        return booking_page(booking_id, status=422, errors=intake.errors, typed=form)
    return carry_out(
        booking_id,
        lambda session: bookings.feedback(
            session,
            actor=actor(),
            booking_id=booking_id,
            rating=rating,
            condition=condition,
            comment=comment,
            now=utc_now(),
        ),
        lambda _booking: _("Thank you: the facility reads it."),
    )


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
        wish, places = _changed_wish(session, typed, booking)
        judged = _judge(session, wish, places, typed, now, booking_id=booking_id) if asked else Judgement()
    if request.args.get("part") == "verdict":
        return render_template(
            "bookings/verdict_alone.html",
            judged=judged,
            errors=said(wish.errors, _labels(_suffixes(booking))),
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
        typed = fields("version", "purpose", "confidential", "shown", "check", "instead", *names)
        asked = bool(typed["check"] or typed["instead"])
        typed = _with_instead(typed)
        wish, places = _changed_wish(session, typed, booking)
        if asked or wish.items is None:
            judged = _judge(session, wish, places, typed, now, booking_id=booking_id)
            status = 422 if wish.errors else 200
            return _change_page(booking, typed, wish, judged, places, status=status)
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
                now=now,
            )
            same, state = changed.version == version_of(typed["version"]), changed.state
    except Refused as refusal:
        with reading() as session:
            judged = _judge(session, wish, places, typed, now, booking_id=booking_id, refusal=refusal)
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
        **dict.fromkeys(("check", "instead"), ""),
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
    session: Session, typed: Mapping[str, str], booking: Booking
) -> tuple[Wish, list[Instrument]]:
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
    whole = items if not intake.errors and len(items) == len(booking.items) else None
    return Wish(whole, purpose, booking.project_id, _confidential(typed), intake.errors), places


def _place(session: Session, code: str, row: BookingItem) -> Instrument:
    """Give the instrument that the form names: the booking's own, which may be unpublished by now, or another."""
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
        judged = _judge(session, wish, places, typed, now, booking_id=booking_id)
    return _change_page(booking, typed, wish, judged, places, status=412, stale=True)


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
    page = render_template(
        "bookings/change.html",
        booking=booking,
        typed=typed,
        errors=said(wish.errors, _labels(_suffixes(booking))),
        problems={name: wording.error_sentence(code) for name, code in wish.errors.items()},
        judged=judged,
        places=list(zip(_suffixes(booking), places, strict=True)),
        instrument=places[0],
        facility=places[0].facility,
        zone=places[0].facility.zone,
        asks_anew=booking.state is State.CONFIRMED and any(place.approval_required for place in places),
        longest=LONGEST_TEXT,
        stale=stale,
        now=utc_now(),
    )
    return page, status


# --- for one's calendar ---------------------------------------------------------------------------

_TENTATIVE = frozenset({State.REQUESTED})
_OFF = frozenset({State.CANCELLED, State.WITHDRAWN, State.REJECTED, State.EXPIRED, State.NO_SHOW})


@blueprint.get("/bookings/<uuid:booking_id>.ics")
@needs("booking.see")
def booking_file(booking_id: UUID) -> Response:
    """Give a booking as a file that calendars open, under the same identity as in feeds."""
    with reading() as session:
        booking = bookings.get(session, actor=actor(), booking_id=booking_id)
    head = FeedHead(name=_("Yiqi"), description=_("One booking"))
    body = render_feed(head, [render_event(item) for item in calendar_items(booking)])
    response = Response(body, mimetype="text/calendar")
    response.headers["Content-Disposition"] = f'attachment; filename="yiqi-{booking.id}.ics"'
    return response


def calendar_items(booking: Booking) -> list[CalendarItem]:
    """Give the events of a booking: one, or one for each item where they lie at different times."""
    spans = {(item.starts_at, item.ends_at) for item in booking.items}
    groups: list[tuple[int | None, list[BookingItem]]] = (
        [(None, list(booking.items))]
        if len(spans) == 1
        else [(item.position, [item]) for item in booking.items]
    )
    return [_calendar_item(booking, items, number) for number, items in groups]


def _calendar_item(booking: Booking, items: Sequence[BookingItem], number: int | None) -> CalendarItem:
    place = items[0].instrument
    status = Status.CONFIRMED
    if booking.state in _TENTATIVE:
        status = Status.TENTATIVE
    elif booking.state in _OFF:
        status = Status.CANCELLED
    where = (name_of(place.facility), place.location, place.facility.address)
    return CalendarItem(
        uid=event_uid(str(booking.id), settings().host_name, number),
        starts_at=items[0].starts_at,
        ends_at=items[0].ends_at,
        created_at=booking.created_at,
        updated_at=booking.updated_at,
        sequence=booking.sequence,
        status=status,
        summary=", ".join(name_of(item.instrument) for item in items),
        description="\n".join(part for part in (wording.state_name(booking.state), booking.purpose) if part),
        location=", ".join(part for part in where if part),
        url=public_url_for("web.booking", booking_id=booking.id),
    )


templates_know()

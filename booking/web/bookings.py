"""One's own bookings, the page of one, and what can be done to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import i18n, plan_words, wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import Actor
from booking.domain.calendars import CalendarItem, FeedHead, Status, event_uid, render_event, render_feed
from booking.domain.lifecycle import Action, State, WrongMove, possible
from booking.domain.occupation import Item, Kind
from booking.domain.replanning import IfSilent
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.http.context import local_path, public_url_for, settings
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import (
    acting,
    agreements,
    attendance,
    availability,
    bookings,
    calendar_replies,
    closures,
    faults,
    invitations,
    move_questions,
    projects,
    proposals,
    qualification_needs,
    series_lists,
    transfers,
    undoing,
)
from booking.services.bookings import Estimate, HistoryLine, Part, Stale
from booking.services.feeds import CALLED_OFF
from booking.web import blueprint
from booking.web.forms import (
    LONGEST_NOTE,
    LONGEST_TEXT,
    Intake,
    labels,
    said,
    with_link,
    with_undo,
)
from booking.web.judgement import sentences
from booking.web.papers import Beside, beside
from models import Booking, BookingItem, CalendarQuestion, Invitation

Answer = str | Response | Redirect | tuple[str, int]

RATINGS = range(1, 6)
MOST_SAMPLES = 1_000_000

LOST = frozenset({"qualification_missing"})
"""What was there when the time was booked, and keeps people from using it now."""


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
        lacking = qualification_needs.wanting(session, found=rows, now=now)
        struck = closures.struck(session, found=rows, now=now)
        offers = transfers.waiting(session, actor=actor())
        proposed = proposals.mine(session, actor=actor(), now=now)
        going_on = series_lists.any_going_on(session, actor=actor(), now=now)
        undoable = undoing.open_for(session, actor=actor(), found=rows, now=now)
    return render_template(
        "bookings/mine.html",
        rows=rows,
        part=part.value,
        offers=offers,
        proposed=proposed,
        series=going_on,
        lacking=lacking,
        struck=struck,
        undoable=undoable,
        tabs=[
            (one.value, _part_name(one), counts[one])
            for one in Part
            if one is not Part.FOR_OTHERS or counts[one] or one is part
        ],
        total=counts[part],
        page=page,
        page_size=page_size,
        page_url=page_url,
        again={booking.id: book_again(booking, now) for booking in rows},
        now=now,
    )


def _part_name(part: Part) -> str:
    return {
        Part.AHEAD: _("Coming up"),
        Part.WAITING: _("Awaiting approval"),
        Part.OVER: _("Past"),
        Part.FOR_OTHERS: _("For others"),
    }[part]


def book_again(booking: Booking, now: datetime) -> str:
    """Give the address of a form that asks for the same again, whole weeks later if its time has passed."""
    start = booking.items[0].starts_at
    weeks = 1 + (now - start) // timedelta(weeks=1) if start <= now else 0
    return _same_again("web.new_booking", booking, timedelta(weeks=weeks))


def _same_again(endpoint: str, booking: Booking, later: timedelta) -> str:
    item = booking.items[0]
    zone = hours.zone(item.instrument.facility.zone)
    # On the wall clock, so that nine o'clock stays nine o'clock.
    start, end = (at.astimezone(zone) + later for at in (item.starts_at, item.ends_at))
    return url_for(
        endpoint,
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
        booking = bookings.get(session, actor=actor(), booking_id=booking_id, now=now)
        lines = bookings.history(session, actor=actor(), booking_id=booking_id, now=now)
        around = beside(session, booking, now)
        project = projects.by_ids(session, ids=[booking.project_id])
        estimate = _estimate(session, booking)
        closed = _closed(session, booking, now)
        conditions = bookings.conditions(session, booking=booking, now=now)
        faulty = _called_faulty(session, booking)
        proposal = proposals.waiting_for(session, actor=actor(), booking=booking)
        question, mailed = _in_calendars(session, booking)
        asks = move_questions.may_ask(actor(), booking)
        asked = move_questions.open_for(session, booking=booking, now=now) if asks else None
        hands_over = "hand_over" in deeds(booking, now)
        offer = transfers.open_for(session, booking_id=booking_id) if hands_over else None
        undoable = undoing.open_for(session, actor=actor(), found=[booking], now=now).get(booking_id)
        missable = attendance.may_call_missed(session, actor=actor(), booking=booking, now=now)
        colleagues = acting.colleagues(session, actor=actor()) if hands_over and offer is None else []
    zone = booking.items[0].instrument.facility.zone
    page = render_template(
        "bookings/one.html",
        booking=booking,
        zone=zone,
        one_span=len({(item.starts_at, item.ends_at) for item in booking.items}) == 1,
        project=next(iter(project.values()), None),
        estimate=estimate,
        closed=closed,
        conditions=sentences((one for one in conditions if one.code not in LOST), zone),
        lost=sentences((one for one in conditions if one.code in LOST), zone),
        offer=offer,
        proposal=proposal,
        question=question,
        asked=asked,
        in_calendar=_in_calendar([row.answer for row in mailed if not row.cancelled]),
        silences=[(one.value, plan_words.if_silent_name(one)) for one in IfSilent],
        colleagues=colleagues,
        history=[_deed(line, zone) for line in lines if _worth_telling(line)],
        may_do=_with_decision(deeds(booking, now), booking, around, now),
        beside=around,
        opens=check_in_opens(booking),
        mine=booking.person_id == actor().person_id,
        again=book_again(booking, now),
        undoable=undoable,
        missable=missable,
        came=attendance.may_say_came(actor(), booking),
        done=undoable is not None and undoable.deed is undoing.Deed.PLACED,
        next_steps=_next_steps(booking, zone),
        reasons=sentences(problem, zone),
        title=title,
        stale=stale,
        errors=said(errors or {}, labels()),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        typed=_said_before(booking, faulty) | dict(typed or {}),
        ratings=RATINGS,
        used=list({row.instrument.code: name_of(row.instrument) for row in booking.items}.items()),
        now=now,
    )
    return page, status


def done_alone(booking_id: UUID) -> str:
    """Render what was just booked, as the part of a page that a calendar shows over itself.

    :raises NotFound: if there is none that the reader may see
    """
    now = utc_now()
    with reading() as session:
        booking = bookings.get(session, actor=actor(), booking_id=booking_id, now=now)
        around = beside(session, booking, now)
        undoable = undoing.open_for(session, actor=actor(), found=[booking], now=now).get(booking_id)
    zone = booking.items[0].instrument.facility.zone
    return render_template(
        "bookings/done_alone.html",
        booking=booking,
        beside=around,
        undoable=undoable,
        next_steps=_next_steps(booking, zone),
        zone=zone,
    )


def _next_steps(booking: Booking, zone: str) -> dict[str, str]:
    """Give the addresses of what one does next: the same every week, the same again, telling others by mail."""
    what = " + ".join(name_of(item.instrument) for item in booking.items)
    when = i18n.format_span(booking.starts_at, booking.ends_at, zone)
    place = ", ".join(
        filter(None, (booking.items[0].instrument.location, name_of(booking.items[0].instrument.facility)))
    )
    letter = "\n".join((what, when, place, public_url_for("web.booking", booking_id=booking.id)))
    return {
        "weekly": _same_again("web.new_series", booking, timedelta(weeks=1)),
        "again": _same_again("web.new_booking", booking, timedelta()),
        "mail": f"mailto:?subject={quote(f'{what}, {when}')}&body={quote(letter)}",
    }


def _in_calendars(session: Session, booking: Booking) -> tuple[CalendarQuestion | None, list[Invitation]]:
    """Give what is asked of the reader, and what the person's calendar was told; nothing where none is mailed."""
    asked = calendar_replies.waiting(session, booking_id=booking.id, person_id=actor().person_id)
    if asked is not None and calendar_replies.is_late(asked, utc_now()):
        asked = None
    if not settings().reply_mailbox:
        return asked, []
    return asked, invitations.told_of(session, booking_id=booking.id, person_id=booking.person_id)


def _in_calendar(answers: Sequence[str]) -> str:
    """Say what the person's calendar answered to the invitation, nothing where none was mailed."""
    if not answers:
        return ""
    said = answers[0] if len(set(answers)) == 1 else ""
    return {
        "ACCEPTED": _("Accepted in the calendar"),
        "TENTATIVE": _("Accepted in the calendar with reserve"),
        "DECLINED": _("Declined in the calendar"),
    }.get(said, _("Mailed to the calendar, not answered there"))


def _called_faulty(session: Session, booking: Booking) -> str:
    if booking.usage is None or booking.usage.condition != "faulty":
        return ""
    return faults.told_of(session, booking_id=booking.id, person_id=booking.person_id)


def _with_decision(found: set[str], booking: Booking, around: Beside, now: datetime) -> set[str]:
    """Offer yes and no to those whose word is asked, and to nobody else."""
    if not around.may_decide:
        return found - {"approve", "reject"}
    return found | {"reject"} | ({"approve"} if booking.ends_at > now else set())


def _worth_telling(line: HistoryLine) -> bool:
    """Leave out that the facility's own approval is open, which the request itself says."""
    return line.kind != "approval.opened" or bool(line.data.get("step"))


def _said_before(booking: Booking, faulty: str) -> dict[str, str]:
    """Give what stands in the forms of the page: feedback that was given may be given anew."""
    usage = booking.usage
    return {
        "reason": "",
        "to": "",
        "offer_note": "",
        "rating": str(usage.rating or "") if usage else "",
        "condition": (usage.condition if usage else "") or "normal",
        "comment": usage.comment if usage else "",
        "samples": str(usage.samples) if usage and usage.samples is not None else "",
        "instrument_id": faulty,
    }


def deeds(booking: Booking, now: datetime) -> set[str]:
    """Give what the reader may do to the booking now."""
    who, moves = actor(), possible(booking.state)
    manages = bookings.may_on(who, "booking.approve", booking)
    # Whoever decides about a request rejects it; to withdraw it is for those who asked.
    decides = booking.state is State.REQUESTED and manages and booking.person_id != who.person_id
    wanted = {
        "change": Action.CHANGE in moves and booking.ends_at > now,
        "cancel": Action.CANCEL in moves and not decides and (booking.starts_at > now or manages),
        "approve": Action.APPROVE in moves and booking.ends_at > now,
        "reject": Action.REJECT in moves,
        "check_in": Action.CHECK_IN in moves and check_in_opens(booking) <= now < booking.ends_at,
        "check_out": Action.CHECK_OUT in moves,
        "extend": Action.CHANGE in moves
        and now < booking.ends_at
        and (booking.starts_at <= now or booking.state is State.CHECKED_IN),
        "hand_over": booking.state in transfers.AHEAD and booking.starts_at > now,
        "swap": booking.state in transfers.AHEAD
        and booking.starts_at > now
        and len(booking.items) == 1
        and booking.person_id == who.person_id,
        "feedback": booking.state is State.ENDED
        or (booking.state is State.CONFIRMED and booking.ends_at <= now),
    }
    asks = {"reject": "booking.approve", "check_out": "booking.check_in", "extend": "booking.change"}
    return {
        name
        for name, possible_now in wanted.items()
        if possible_now and bookings.may_on(who, asks.get(name, f"booking.{name}"), booking)
    }


def check_in_opens(booking: Booking) -> datetime:
    """Give the start of the set-up, from which on one may check in."""
    return booking.opens_at or booking.starts_at


def _estimate(session: Session, booking: Booking) -> Estimate:
    payer = payer_of(booking)
    return Estimate(tuple(availability.estimates(session, actor=payer, items=items_of(booking))))


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
        return wording.strung(
            _(
                "%(what)s: %(note)s",
                what=code,
                note=i18n.format_span(datetime.fromisoformat(start), datetime.fromisoformat(end), zone),
            )
            + (f" × {quantity}" if quantity > 1 else "")
            for code, start, end, quantity in value
        )
    if name == "chemicals":
        return wording.joined(
            " ".join(filter(None, (one["name"], one["quantity"], one["unit"]))) for one in value
        ) or _("No chemicals")
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
        words: Any = (
            _("The request is withdrawn and its time is free again.")
            if booking.state is State.WITHDRAWN
            else _("The booking is cancelled and its time is free again.")
        )
        if booking.person_id == actor().person_id:
            words = with_link(words, book_again(booking, now), _("Book it again"))
        # The booking's own page offers to take it back anyway.
        return with_undo(words, booking, form["back"]) if form["back"] and booking.starts_at > now else words

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


@blueprint.post("/bookings/<uuid:booking_id>/no-show")
@needs("booking.miss")
def call_missed(booking_id: UUID) -> Answer:
    """Note by the word of staff that nobody came."""
    form = fields("excused")
    return carry_out(
        booking_id,
        lambda session: attendance.call_missed(
            session, actor=actor(), booking_id=booking_id, excused=bool(form["excused"]), now=utc_now()
        ),
        lambda booking: _(
            "%(name)s is noted as not having come; the time is free.", name=booking.person.name
        ),
    )


@blueprint.post("/bookings/<uuid:booking_id>/arrival")
@needs("booking.approve")
def say_came(booking_id: UUID) -> Answer:
    """Note that somebody came after all who was noted as not having come."""
    fields()
    return carry_out(
        booking_id,
        lambda session: attendance.say_came(session, actor=actor(), booking_id=booking_id, now=utc_now()),
        lambda booking: _(
            "%(name)s is noted as having come; points that it cost are given back.", name=booking.person.name
        ),
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
    form = fields("rating", "condition", "comment", "samples", "instrument_id")
    intake = Intake(form)
    rating = None
    if intake.raw("rating"):
        rating = intake.whole("rating", least=RATINGS[0], most=RATINGS[-1])
    condition = intake.raw("condition")
    if condition not in {"", "normal", "faulty"}:
        intake.errors["condition"] = "unknown"
    comment = intake.text("comment", longest=LONGEST_TEXT, lines=True)
    samples = intake.whole("samples", least=0, most=MOST_SAMPLES) if intake.raw("samples") else None
    if not (rating or condition or comment or intake.errors):
        intake.errors["rating"] = "required"
    try:
        intake.demand()
        return carry_out(
            booking_id,
            lambda session: bookings.feedback(
                session,
                actor=actor(),
                booking_id=booking_id,
                rating=rating,
                condition=condition,
                comment=comment,
                samples=samples,
                faulty=intake.raw("instrument_id"),
                now=utc_now(),
            ),
            lambda _booking: _("Thank you: the facility reads it."),
        )
    except Invalid as error:
        return booking_page(booking_id, status=422, errors=error.errors, typed=form)


# --- for one's calendar ---------------------------------------------------------------------------


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
    where = (place.location, name_of(place.facility), place.facility.address)
    return CalendarItem(
        uid=event_uid(str(booking.id), settings().host_name, number),
        starts_at=items[0].starts_at,
        ends_at=items[0].ends_at,
        created_at=booking.created_at,
        updated_at=booking.updated_at,
        sequence=booking.sequence,
        status=_status(booking.state),
        summary=_summary(booking, items),
        description=booking.purpose,
        location=", ".join(part for part in where if part),
        url=public_url_for("web.booking", booking_id=booking.id),
    )


def _status(state: State) -> Status:
    if state is State.REQUESTED:
        return Status.TENTATIVE
    return Status.CANCELLED if state in CALLED_OFF else Status.CONFIRMED


def _summary(booking: Booking, items: Sequence[BookingItem]) -> str:
    """Say in a line what it is, in the words of the feeds."""
    title = " + ".join(
        name_of(item.instrument) + (f" × {item.quantity}" if item.quantity > 1 else "") for item in items
    )
    if booking.person_id != actor().person_id:
        title = _("%(instrument)s (%(person)s)", instrument=title, person=booking.person.name)
    if booking.state is State.REQUESTED:
        return _("Awaiting approval: %(title)s", title=title)
    if booking.state in CALLED_OFF:
        return _("Cancelled: %(title)s", title=title)
    return title


templates_know()


@blueprint.post("/bookings/<uuid:booking_id>/agreement", endpoint="agree")
@needs("booking.agree")
def agree(booking_id: UUID) -> Answer:
    """Say what may be done with a booking after an outage."""
    intake = Intake(fields("if_silent", "may_move", "makes_room", "needed_by"))
    if_silent = intake.choice("if_silent", IfSilent)
    needed_by = intake.day("needed_by") if intake.raw("needed_by") else None
    if if_silent is None or intake.errors:
        raise Invalid(intake.errors)
    with transaction() as session:
        agreements.agree(
            session,
            actor=actor(),
            booking_id=booking_id,
            may_move=bool(intake.typed["may_move"]),
            makes_room=bool(intake.typed["makes_room"]),
            if_silent=if_silent,
            needed_by=needed_by,
            now=utc_now(),
        )
    flash(_("Kept."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)

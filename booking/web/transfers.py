"""Handing over: what is asked of me and by me, offering a booking, and the answers to it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.lifecycle import WrongMove
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import acting, bookings, swaps, transfers
from booking.services.bookings import Stale
from booking.services.swaps import Slot
from booking.services.transfers import LONGEST_NOTE
from booking.web import blueprint
from booking.web.bookings import Answer, booking_page
from booking.web.forms import LONGEST_ADDRESS, Intake, said
from booking.web.judgement import sentences


class Row(NamedTuple):
    """A time that somebody else has, as a choice of the form."""

    value: str
    start: datetime
    end: datetime
    place: str


LOOKS = {"open": "warn", "accepted": "good", "declined": "bad"}


@blueprint.get("/transfers", endpoint="transfers")
@needs("transfer.list")
def show_transfers() -> Answer:
    """Show what is asked of me and by me."""
    return _page()


def _page(*, status: int = 200, problem: Sequence[Reason] = (), stale: bool = False) -> Answer:
    now, (number, page_size) = utc_now(), page_wanted(default=20, most=100)
    with reading() as session:
        rows, total = transfers.listing(session, actor=actor(), page=number, page_size=page_size)
        rows = swaps.seen(session, actor=actor(), found=rows)
        own = transfers.exchangeable(session, actor=actor(), now=now)
    page = render_template(
        "transfers/listing.html",
        rows=rows,
        total=total,
        page=number,
        page_size=page_size,
        page_url=page_url,
        own=own,
        states={row.id: wording.transfer_state_name(row.state.value) for row in rows},
        looks=LOOKS,
        reasons=sentences(problem, "UTC"),
        stale=stale,
        longest=LONGEST_NOTE,
    )
    return page, status


@blueprint.post("/bookings/<uuid:booking_id>/transfers")
@needs("booking.hand_over")
def offer_booking(booking_id: UUID) -> Answer:
    """Offer a booking to a colleague."""
    form = fields("to", "note")
    intake = Intake({"to": form["to"], "offer_note": form["note"]})
    named = intake.text("to", longest=LONGEST_ADDRESS)
    note = intake.text("offer_note", longest=LONGEST_NOTE, lines=True)
    if not named and "to" not in intake.errors:
        intake.errors["to"] = "required"
    typed = {"to": form["to"], "offer_note": form["note"]}
    if intake.errors:
        return booking_page(booking_id, status=422, errors=intake.errors, typed=typed)
    with reading() as session:
        bookings.get(session, actor=actor(), booking_id=booking_id)  # before anybody is looked up
    try:
        with transaction() as session:
            made = transfers.offer(
                session,
                actor=actor(),
                booking_id=booking_id,
                to=acting.person_called(session, named, field="to"),
                note=note,
                now=utc_now(),
            )
    except Invalid as error:
        return booking_page(booking_id, status=422, errors=error.errors, typed=typed)
    except (Refused, WrongMove, Stale) as error:
        return booking_page(booking_id, **_why(error))
    flash(_("Offered to %(name)s. It stays as it is until they say yes.", name=made.taker.name), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


@blueprint.post("/transfers/<uuid:transfer_id>/acceptance")
@needs("transfer.answer")
def accept_transfer(transfer_id: UUID) -> Answer:
    """Take a booking over, or swap."""
    fields()
    with reading() as session:
        blind = transfers.get(session, actor=actor(), transfer_id=transfer_id).blind

    def done(session: Session) -> str:
        made = swaps.answer(session, actor=actor(), transfer_id=transfer_id, now=utc_now())
        mine = made.for_booking_id if blind else made.booking_id
        return url_for("web.booking", booking_id=mine)

    return _answer(done, _("The times are swapped.") if blind else _("It is yours now, with the same time."))


@blueprint.post("/transfers/<uuid:transfer_id>/refusal")
@needs("transfer.answer")
def decline_transfer(transfer_id: UUID) -> Answer:
    """Say no."""
    note = _note(fields("note")["note"])

    def done(session: Session) -> None:
        transfers.decline(session, actor=actor(), transfer_id=transfer_id, note=note, now=utc_now())

    return _answer(done, _("Declined. The booking stays theirs."))


@blueprint.post("/transfers/<uuid:transfer_id>/exchange")
@needs("transfer.answer")
def offer_exchange(transfer_id: UUID) -> Answer:
    """Offer one of my own in exchange."""
    form = fields("booking", "note")
    intake = Intake(form)
    booking_id, note = intake.key("booking"), _note(form["note"])
    if booking_id is None:
        raise Invalid({"booking": "required"} | intake.errors)

    def done(session: Session) -> None:
        transfers.exchange(
            session, actor=actor(), transfer_id=transfer_id, booking_id=booking_id, note=note, now=utc_now()
        )

    return _answer(done, _("Offered in exchange. Both change hands if they say yes."))


@blueprint.post("/transfers/<uuid:transfer_id>/withdrawal")
@needs("transfer.answer")
def withdraw_transfer(transfer_id: UUID) -> Answer:
    """Take an offer back."""
    fields()

    def done(session: Session) -> None:
        transfers.withdraw(session, actor=actor(), transfer_id=transfer_id, now=utc_now())

    return _answer(done, _("The offer is withdrawn."))


# --- swaps of times -------------------------------------------------------------------------------


@blueprint.get("/bookings/<uuid:booking_id>/swap", endpoint="swap")
@needs("booking.swap")
def choose_swap(booking_id: UUID) -> Answer:
    """Show the times that others have on the same instrument or an equal one."""
    return _swap_page(booking_id)


def _swap_page(
    booking_id: UUID,
    *,
    status: int = 200,
    problem: Sequence[Reason] = (),
    stale: bool = False,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Answer:
    now = utc_now()
    with reading() as session:
        try:
            booking = swaps.own(session, actor=actor(), booking_id=booking_id, now=now)
            since = _since(request.args.get("since", ""))
            found = swaps.slots(session, actor=actor(), booking=booking, since=since, now=now)
        except (Refused, WrongMove) as error:
            return booking_page(booking_id, **_why(error))
    zone = booking.items[0].instrument.facility.zone
    return (
        render_template(
            "transfers/swap.html",
            booking=booking,
            zone=zone,
            days=_by_day(found.slots, zone),
            later=found.later,
            since=since,
            ahead=swaps.AHEAD.days,
            reasons=sentences(problem, zone),
            stale=stale,
            errors=said(errors or {}, {"slot": _("Time"), "note": _("A word to them")}),
            problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
            typed=dict(typed or {}),
            longest=LONGEST_NOTE,
        ),
        status,
    )


def _since(raw: str) -> datetime | None:
    """Read from when on times are wanted; from now on where it says nothing that makes sense."""
    try:
        found = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return found if found.utcoffset() is not None else None


def _by_day(found: Sequence[Slot], zone: str) -> list[tuple[date, list[Row]]]:
    days: dict[date, list[Row]] = {}
    for slot in found:
        start, end = slot.span
        day = start.astimezone(hours.zone(zone)).date()
        value = f"{slot.instrument.code} {start.isoformat()} {end.isoformat()}"
        days.setdefault(day, []).append(Row(value, start, end, name_of(slot.instrument)))
    return list(days.items())


@blueprint.post("/bookings/<uuid:booking_id>/swap", endpoint="ask_swap")
@needs("booking.swap")
def ask_swap(booking_id: UUID) -> Answer:
    """Ask whoever has a time to swap it."""
    form = fields("slot", "note")
    intake = Intake(form)
    note = intake.text("note", longest=LONGEST_NOTE, lines=True)
    code, span = _slot(intake)
    if intake.errors or span is None:
        return _swap_page(booking_id, status=422, errors=intake.errors, typed=form)
    try:
        with transaction() as session:
            swaps.propose(
                session,
                actor=actor(),
                booking_id=booking_id,
                instrument=code,
                span=span,
                note=note,
                now=utc_now(),
            )
    except (Refused, WrongMove, Stale) as error:
        return _swap_page(booking_id, **_why(error), typed=form)
    flash(_("Asked. Both bookings stay as they are until they say yes."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _slot(intake: Intake) -> tuple[str, Span | None]:
    code, _space, times = intake.raw("slot").partition(" ")
    start, _space, end = times.partition(" ")
    try:
        span = Span(datetime.fromisoformat(start), datetime.fromisoformat(end))
        if span.start.utcoffset() is not None and span.start < span.end:
            return code, span
    except (ValueError, TypeError):
        pass
    intake.errors["slot"] = "malformed" if code else "required"
    return code, None


def _note(typed: str) -> str:
    intake = Intake({"note": typed})
    note = intake.text("note", longest=LONGEST_NOTE, lines=True)
    if intake.errors:
        raise Invalid(intake.errors)
    return note


def _answer(do: Callable[[Session], str | None], words: str) -> Answer | Redirect:
    """Do one thing, say so and go on; what is refused is told above the list."""
    try:
        with transaction() as session:
            href = do(session)
    except (Refused, WrongMove, Stale) as error:
        return _page(**_why(error))
    flash(words, "success")
    return redirect(href or url_for("web.transfers"), 303)


def _why(error: Exception) -> dict[str, Any]:
    """Give what a page is told of a command that did not come through."""
    if isinstance(error, Refused):
        return {"status": 409, "problem": error.reasons}
    if isinstance(error, WrongMove):
        figures = {"state": error.state.value, "action": error.action.value}
        return {"status": 409, "problem": [Reason("wrong_state", figures)]}
    return {"status": 412, "stale": True}

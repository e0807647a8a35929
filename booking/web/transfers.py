"""Handing over: what is asked of me and by me, offering a booking, and the answers to it."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.lifecycle import WrongMove
from booking.domain.rules import Invalid, Reason, Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.services import acting, bookings, transfers
from booking.services.bookings import Stale
from booking.services.transfers import LONGEST_NOTE
from booking.web import blueprint
from booking.web.bookings import Answer, booking_page
from booking.web.forms import LONGEST_ADDRESS, Intake
from booking.web.judgement import sentences

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

    def done(session: Session) -> str:
        made = transfers.accept(session, actor=actor(), transfer_id=transfer_id, now=utc_now())
        return url_for("web.booking", booking_id=made.booking_id)

    return _answer(done, _("It is yours now, with the same time."))


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

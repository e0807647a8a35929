"""Transfers: a booking handed to a colleague, or two that change hands."""

from typing import Any
from uuid import UUID

from flask import url_for

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.transfers import (
    DeclineIn,
    ExchangeIn,
    SlotsIn,
    SlotsOut,
    SwapIn,
    TransferIn,
    TransferOut,
    TransfersIn,
    TransfersOut,
)
from booking.db import Session, reading, transaction
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.services import acting, bookings, swaps, transfers
from booking.services.swaps import Seen
from models import Transfer

blp = Blueprint("api-transfers", __name__, description="Bookings that change hands.")


@blp.get("/transfers")
@needs("transfer.list")
@blp.arguments(TransfersIn, location="query")
@blp.response(200, TransfersOut)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List offers

    Those to oneself and by oneself, open ones first, then the newest.
    """
    page, page_size = wanted["page"], wanted["page_size"]
    with reading() as session:
        found, total = transfers.listing(
            session, actor=actor(), states=wanted["state"], page=page, page_size=page_size
        )
        shown = swaps.seen(session, actor=actor(), found=found)
    return {"items": shown, "total": total, "next": next_url(total, page, page_size)}


@blp.post("/transfers")
@needs("booking.hand_over")
@blp.arguments(TransferIn)
@blp.response(201, TransferOut)
@problems(404, 409)
def offer(wanted: dict[str, Any]) -> tuple[Transfer, dict[str, str]]:
    """Offer a booking

    It stays whose it is until the other accepts; its time is never free meanwhile.
    """
    who = actor()
    with transaction() as session:
        bookings.get(session, actor=who, booking_id=wanted["booking_id"])
        made = transfers.offer(
            session,
            actor=who,
            booking_id=wanted["booking_id"],
            to=acting.person_called(session, wanted["to"], field="to"),
            for_booking_id=wanted["for_booking_id"],
            note=wanted["note"],
            now=utc_now(),
        )
    return made, {"Location": url_for("api-transfers.one", transfer_id=made.id)}


@blp.get("/transfers/<uuid:transfer_id>")
@needs("transfer.list")
@blp.response(200, TransferOut)
@problems(404)
def one(transfer_id: UUID) -> Transfer | Seen:
    """Read an offer"""
    with reading() as session:
        return _told(session, transfers.get(session, actor=actor(), transfer_id=transfer_id))


@blp.post("/transfers/<uuid:transfer_id>/acceptance")
@needs("transfer.answer")
@blp.arguments(NothingIn, required=False)
@blp.response(200, TransferOut)
@problems(404, 409, 412)
def accept(_nothing: dict[str, Any], transfer_id: UUID) -> Transfer | Seen:
    """Accept an offer

    Who takes a booking must pass everything that is asked of a person: qualifications, limits, bans. State
    and approvals stay. In a swap of times both must pass all that is asked of their booking at its new time.
    """
    with transaction() as session:
        found = swaps.answer(session, actor=actor(), transfer_id=transfer_id, now=utc_now())
        return _told(session, found)


@blp.post("/transfers/<uuid:transfer_id>/refusal")
@needs("transfer.answer")
@blp.arguments(DeclineIn, required=False)
@blp.response(200, TransferOut)
@problems(404, 409)
def decline(wanted: dict[str, Any], transfer_id: UUID) -> Transfer | Seen:
    """Decline an offer"""
    with transaction() as session:
        found = transfers.decline(
            session, actor=actor(), transfer_id=transfer_id, note=wanted["note"], now=utc_now()
        )
        return _told(session, found)


@blp.post("/transfers/<uuid:transfer_id>/exchange")
@needs("transfer.answer")
@blp.arguments(ExchangeIn)
@blp.response(201, TransferOut)
@problems(404, 409, 412)
def exchange(wanted: dict[str, Any], transfer_id: UUID) -> Transfer:
    """Offer one's own in exchange

    Answers an offer with a new one: a swap, if the other accepts it.
    """
    with transaction() as session:
        return transfers.exchange(session, actor=actor(), transfer_id=transfer_id, **wanted, now=utc_now())


@blp.post("/transfers/<uuid:transfer_id>/withdrawal")
@needs("transfer.answer")
@blp.arguments(NothingIn, required=False)
@blp.response(200, TransferOut)
@problems(404, 409)
def withdraw(_nothing: dict[str, Any], transfer_id: UUID) -> Transfer | Seen:
    """Take an offer back"""
    with transaction() as session:
        return _told(
            session, transfers.withdraw(session, actor=actor(), transfer_id=transfer_id, now=utc_now())
        )


@blp.get("/bookings/<uuid:booking_id>/swaps")
@needs("booking.swap")
@blp.arguments(SlotsIn, location="query")
@blp.response(200, SlotsOut)
@problems(404, 409)
def slots(wanted: dict[str, Any], booking_id: UUID) -> dict[str, Any]:
    """List times to swap with

    Times that others have in the next four weeks on the same instrument or an equal one; whose they are is not told.
    Where `later` names an instant, asking again with it as `since` may give more.
    """
    now = utc_now()
    with reading() as session:
        booking = swaps.own(session, actor=actor(), booking_id=booking_id, now=now)
        found = swaps.slots(session, actor=actor(), booking=booking, since=wanted["since"], now=now)
    items = [
        {"instrument_id": one.instrument.code, "start": one.span.start, "end": one.span.end}
        for one in found.slots
    ]
    return {"items": items, "total": len(items), "later": found.later}


@blp.post("/bookings/<uuid:booking_id>/swaps")
@needs("booking.swap")
@blp.arguments(SwapIn)
@blp.response(201, TransferOut)
@problems(404, 409, 412)
def swap(wanted: dict[str, Any], booking_id: UUID) -> Transfer | Seen:
    """Ask for another's time

    Whoever has it may give it for the time of one's own booking. Both bookings stay whose they are and move into each
    other's place, both or neither; neither person is told of the other.
    """
    with transaction() as session:
        made = swaps.propose(
            session,
            actor=actor(),
            booking_id=booking_id,
            instrument=wanted["instrument_id"],
            span=Span(wanted["start"], wanted["end"]),
            note=wanted["note"],
            now=utc_now(),
        )
        return _told(session, made)


def _told(session: Session, found: Transfer) -> Transfer | Seen:
    (shown,) = swaps.seen(session, actor=actor(), found=[found])
    return shown

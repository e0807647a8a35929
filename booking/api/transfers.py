"""Transfers: a booking handed to a colleague, or two that change hands."""

from typing import Any
from uuid import UUID

from flask import url_for

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.transfers import (
    DeclineIn,
    ExchangeIn,
    TransferIn,
    TransferOut,
    TransfersIn,
    TransfersOut,
)
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.services import acting, bookings, transfers
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
    return {"items": found, "total": total, "next": next_url(total, page, page_size)}


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
def one(transfer_id: UUID) -> Transfer:
    """Read an offer"""
    with reading() as session:
        return transfers.get(session, actor=actor(), transfer_id=transfer_id)


@blp.post("/transfers/<uuid:transfer_id>/acceptance")
@needs("transfer.answer")
@blp.arguments(NothingIn, required=False)
@blp.response(200, TransferOut)
@problems(404, 409, 412)
def accept(_nothing: dict[str, Any], transfer_id: UUID) -> Transfer:
    """Accept an offer

    Who takes a booking must pass everything that is asked of a person: qualifications, limits, bans. State
    and approvals stay.
    """
    with transaction() as session:
        return transfers.accept(session, actor=actor(), transfer_id=transfer_id, now=utc_now())


@blp.post("/transfers/<uuid:transfer_id>/refusal")
@needs("transfer.answer")
@blp.arguments(DeclineIn, required=False)
@blp.response(200, TransferOut)
@problems(404, 409)
def decline(wanted: dict[str, Any], transfer_id: UUID) -> Transfer:
    """Decline an offer"""
    with transaction() as session:
        return transfers.decline(
            session, actor=actor(), transfer_id=transfer_id, note=wanted["note"], now=utc_now()
        )


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
def withdraw(_nothing: dict[str, Any], transfer_id: UUID) -> Transfer:
    """Take an offer back"""
    with transaction() as session:
        return transfers.withdraw(session, actor=actor(), transfer_id=transfer_id, now=utc_now())

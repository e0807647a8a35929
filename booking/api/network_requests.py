"""Facilities join networks: either side asks, the other answers."""

from typing import Any
from uuid import UUID

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.network_requests import (
    NetworkAnswerIn,
    NetworkRequestIn,
    NetworkRequestOut,
    NetworkRequestsOut,
    Verdict,
)
from booking.db import reading, transaction
from booking.domain.rules import Invalid
from booking.http import site
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import network_requests
from booking.services.network_requests import Asked

blp = Blueprint("api-network-requests", __name__, description="How facilities join networks.")


@blp.get("/network-requests")
@needs("network.answer")
@blp.response(200, NetworkRequestsOut)
def waiting() -> dict[str, Any]:
    """List requests to join

    Those open of the networks and facilities for which one speaks, those to answer first, then the oldest.
    """
    with reading() as session:
        found = network_requests.waiting(session, actor=actor())
    return {"items": found, "total": len(found)}


@blp.post("/network-requests")
@needs("network.answer")
@blp.arguments(NetworkRequestIn)
@blp.response(201, NetworkRequestOut)
@blp.alt_response(204, description="The facility is in the network now.")
@problems(409)
def ask(wanted: dict[str, Any]) -> Asked | Response:
    """Ask whether a facility may join a network

    For managers of the facility and officers of the network. Who speaks for both sides, or asks for what the other
    asked already, has it join at once.
    """
    try:
        with transaction() as session:
            made = network_requests.ask(
                session,
                actor=actor(),
                network=wanted["network_id"],
                facility=wanted["facility_id"],
                note=wanted["note"],
                now=utc_now(),
            )
            found = network_requests.told(session, actor=actor(), asked=made) if made else None
    except Invalid as error:
        raise Invalid({f"{name}_id": code for name, code in error.errors.items()}) from None
    site.forget()
    return found or Response(status=204)


@blp.post("/network-requests/<uuid:request_id>/answer")
@needs("network.answer")
@blp.arguments(NetworkAnswerIn)
@blp.response(200, NetworkRequestOut)
@problems(404, 409)
def answer(wanted: dict[str, Any], request_id: UUID) -> Asked:
    """Answer the other side

    `accept` has the facility join, `refuse` says why not.
    """
    with transaction() as session:
        done = network_requests.answer(
            session,
            actor=actor(),
            request_id=request_id,
            accept=wanted["answer"] is Verdict.ACCEPT,
            reason=wanted["reason"],
            now=utc_now(),
        )
        found = network_requests.told(session, actor=actor(), asked=done)
    site.forget()
    return found


@blp.post("/network-requests/<uuid:request_id>/withdrawal")
@needs("network.answer")
@blp.arguments(NothingIn, required=False)
@blp.response(200, NetworkRequestOut)
@problems(404, 409)
def withdraw(_nothing: dict[str, Any], request_id: UUID) -> Asked:
    """Take a request of one's own side back"""
    with transaction() as session:
        done = network_requests.withdraw(session, actor=actor(), request_id=request_id, now=utc_now())
        return network_requests.told(session, actor=actor(), asked=done)

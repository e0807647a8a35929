"""Holds: time that is kept for a few minutes."""

from typing import Any
from uuid import UUID

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.holds import HoldIn, HoldOut
from booking.db import transaction
from booking.domain.occupation import Item
from booking.http import limits
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import acting, holds, instruments
from booking.services.holds import TAKINGS
from models import Hold

blp = Blueprint(
    "api-holds", __name__, description="Time that is kept for a few minutes while somebody decides."
)


@blp.post("/holds")
@needs("hold.take")
@blp.arguments(HoldIn)
@blp.response(201, HoldOut)
@problems(404, 409, 429)
def take(order: dict[str, Any]) -> Hold:
    """Hold time

    For five minutes, under the rules of a booking. Others see that it is taken; for whoever holds it, it is free,
    and their booking takes its place. One hold a person: a new one replaces it.
    """
    who = actor()
    limits.count((TAKINGS, str(who.person_id)))
    with transaction() as session:
        ids = instruments.by_codes(session, actor=who, codes=[code for code, _, _ in order["items"]])
        whom = order["booked_for"]
        return holds.take(
            session,
            actor=who,
            items=[Item(ids[code], span, quantity) for code, span, quantity in order["items"]],
            project_id=order["project_id"],
            booking_id=order["booking_id"],
            booked_for=acting.person_called(session, whom) if whom else None,
            now=utc_now(),
        )


@blp.post("/holds/<uuid:hold_id>/renewal")
@needs("hold.take")
@blp.arguments(NothingIn, required=False)
@blp.response(200, HoldOut)
@problems(404, 409)
def renew(_nothing: dict[str, Any], hold_id: UUID) -> Hold:
    """Renew a hold

    For another five minutes from now, once.
    """
    with transaction() as session:
        return holds.renew(session, actor=actor(), hold_id=hold_id, now=utc_now())


@blp.delete("/holds/<uuid:hold_id>")
@needs("hold.take")
@blp.response(204)
@problems(404)
def release(hold_id: UUID) -> Response:
    """Release a hold

    The time is free again at once.
    """
    with transaction() as session:
        holds.release(session, actor=actor(), hold_id=hold_id, now=utc_now())
    return Response(status=204)

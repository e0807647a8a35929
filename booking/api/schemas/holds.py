"""Holds: time that is kept while somebody decides."""

from typing import Any

from marshmallow import fields

from booking.api.schemas.bookings import DryRunIn
from booking.api.schemas.fields import Instant, Out
from booking.services import holds


class HoldIn(DryRunIn):
    """The wish of which the time is to be kept, in the form of a booking."""


class HoldOut(Out):
    """Time that is kept for its maker."""

    id = fields.UUID(required=True)
    expires_at = Instant(
        required=True,
        metadata={"description": "From then on it counts for nothing, whether or not it is deleted."},
    )
    renewable = fields.Method("_renewable", required=True, metadata={"type": "boolean"})

    def _renewable(self, hold: Any) -> bool:
        return holds.renewable(hold)

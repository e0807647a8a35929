"""The waitlist: what one waits for, and how a place in the line is told."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from booking.api.schemas.bookings import PersonOut
from booking.api.schemas.fields import (
    MOST_UNITS,
    Choice,
    In,
    Instant,
    Key,
    Length,
    Out,
    Text,
    Whole,
    span,
)
from booking.api.schemas.instruments import FiltersIn
from booking.api.schemas.paging import PageIn, PageOut
from booking.domain import waitlist as line
from booking.services.waitlist import LONGEST_PURPOSE, LONGEST_REASON, MOST_INSTRUMENTS
from models import EntryState, OfferState

_EACH = ("q", "facility", "network", "kind", "category", "capability")


class WaitIn(FiltersIn):
    """A wish to wait for: named instruments, or any that fit the filters; a very time, or so long within a window."""

    instrument_id = Text(longest=40, metadata={"description": "The one instrument.", "example": "DG-SLAB-05"})
    instruments = fields.List(
        Text(longest=40),
        validate=[
            validate.Length(min=1, error="required"),
            validate.Length(max=MOST_INSTRUMENTS, error="too_large"),
        ],
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": "Any of these."},
    )
    start = Instant(required=True, metadata={"example": "2026-11-23T09:00:00+08:00"})
    end = Instant(required=True, metadata={"example": "2026-11-27T18:00:00+08:00"})
    duration = Length(
        allow_none=True,
        load_default=None,
        metadata={
            "format": "duration",
            "example": "PT6H",
            "description": "How long the use is; without it, all of the time from start to end.",
        },
    )
    quantity = Whole(least=1, most=MOST_UNITS, load_default=1)
    project_id = Key(allow_none=True, load_default=None, metadata={"description": "A project one works for."})
    purpose = Text(longest=LONGEST_PURPOSE, lines=True, load_default="")

    @post_load
    def _understood(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["window"] = span(data.pop("start"), data.pop("end"))
        length = data.pop("duration") or data["window"].duration
        if length.total_seconds() % 60:
            raise ValidationError({"duration": ["out_of_range"]})
        data["minutes"] = int(length.total_seconds() // 60)
        codes = data.pop("instruments", None) or []
        if (one := data.pop("instrument_id", None)) is not None:
            codes = [*codes, one]
        data["codes"] = codes
        data["filters"] = {name: data.pop(name) for name in _EACH if name in data}
        asked = any(data["filters"].values())
        if bool(codes) == asked:
            raise ValidationError({"instruments": ["unknown" if asked else "required"]})
        return data


class WaitsIn(PageIn):
    """Whose places in the line."""

    facility = Text(
        longest=40,
        load_default="",
        metadata={
            "description": "Of all who wait for an instrument of this facility, for its staff; else one's own."
        },
    )


class PriorityIn(In):
    """Another class of priority."""

    priority = Whole(
        least=line.FIRST,
        most=line.LAST,
        required=True,
        metadata={"description": "The lowest is served first; 100 is usual."},
    )
    reason = Text(
        longest=LONGEST_REASON,
        lines=True,
        required=True,
        metadata={"description": "It stands in the history."},
    )


class OfferedOut(Out):
    """Time that is held for one person of the line."""

    id = fields.UUID(required=True)
    instrument_id = fields.String(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    deadline = Instant(
        required=True, metadata={"description": "After it the next in line is offered the time."}
    )
    state = Choice(OfferState, required=True)


class WaitOut(Out):
    """A place in the line."""

    id = fields.UUID(required=True)
    person = fields.Nested(PersonOut, required=True)
    instruments = fields.List(
        fields.String(), required=True, metadata={"description": "Any of them will do."}
    )
    start = Instant(required=True)
    end = Instant(required=True)
    duration = fields.String(required=True, metadata={"format": "duration", "example": "PT360M"})
    quantity = fields.Integer(required=True)
    priority = fields.Integer(required=True)
    purpose = fields.String(required=True)
    wish = fields.String(
        required=True, metadata={"description": "The instruments in the words they were asked for."}
    )
    project_id = fields.UUID(required=True, allow_none=True)
    state = Choice(EntryState, required=True)
    ahead = fields.Integer(
        required=True, metadata={"description": "How many have their turn before, for some of the same time."}
    )
    joined_at = Instant(required=True)
    booking_id = fields.UUID(required=True, allow_none=True, metadata={"description": "What came of it."})
    offer = fields.Nested(OfferedOut, required=True, allow_none=True)


class WaitsOut(PageOut):
    """Places in the line."""

    items = fields.List(fields.Nested(WaitOut), required=True)

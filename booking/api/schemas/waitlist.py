"""The waitlist: what one waits for, and how a place in the line is told."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from booking.api.schemas.bookings import PersonOut
from booking.api.schemas.fields import (
    MOST_UNITS,
    Choice,
    Flag,
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
from booking.api.schemas.rounds import StepPlaceOut, WhyOut
from booking.domain import waitlist as line
from booking.domain.spans import Span
from booking.services.waitlist import LONGEST_PURPOSE, LONGEST_REASON, MOST_INSTRUMENTS, MOST_WINDOWS
from models import EntryState, OfferState

_EACH = ("q", "facility", "network", "region", "kind", "category", "capability")


class WindowIn(In):
    """A part of the time in which one could come."""

    start = Instant(required=True)
    end = Instant(required=True)

    @post_load
    def _understood(self, data: dict[str, Any], **_: Any) -> Span:
        return span(data["start"], data["end"])


class WindowOut(Out):
    """A part of the time in which one could come."""

    start = Instant(required=True)
    end = Instant(required=True)


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
    windows = fields.List(
        fields.Nested(WindowIn),
        load_default=list,
        validate=validate.Length(max=MOST_WINDOWS, error="too_large"),
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={
            "description": "Parts of the time from start to end in which the use may lie; none: anywhere."
        },
    )
    at_once = Flag(
        load_default=False,
        metadata={"description": "Book what is found; else it is offered, and kept while one answers."},
    )
    may_move = Flag(
        load_default=False,
        metadata={
            "description": "The booking may be moved by a day at most, so that others find room after an outage or "
            "who wait."
        },
    )
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


class OfferedOut(StepPlaceOut):
    """Time that is held for one person of the line; of a process that of its first step."""

    id = fields.UUID(required=True)
    following = fields.List(
        fields.Nested(StepPlaceOut),
        required=True,
        metadata={"description": "Of a process where each further step goes; all are taken, or none is."},
    )
    deadline = Instant(
        required=True, metadata={"description": "After it the next in line is offered the time."}
    )
    state = Choice(OfferState, required=True)


class OnStandbyOut(Out):
    """How somebody stands by for a day."""

    at_most = fields.String(required=True, metadata={"format": "duration", "example": "PT240M"})
    lead_minutes = fields.Integer(required=True, metadata={"description": "How soon they can be there."})
    here_since = Instant(
        required=True, allow_none=True, metadata={"description": "They are there and ready."}
    )


class WaitStepOut(Out):
    """A step of a process for which somebody waits."""

    instruments = fields.List(fields.String(), required=True, metadata={"description": "Named ones."})
    filters = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    duration = fields.String(required=True, metadata={"format": "duration", "example": "PT360M"})
    lag_least = fields.String(required=True, metadata={"format": "duration", "example": "PT30M"})
    lag_most = fields.String(required=True, metadata={"format": "duration", "example": "PT120M"})
    family = fields.String(required=True)
    quantity = fields.Integer(required=True)


class WaitOut(Out):
    """A place in the line."""

    id = fields.UUID(required=True)
    person = fields.Nested(PersonOut, required=True)
    instruments = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Any of them will do; of a process those on which any step may be done."},
    )
    filters = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={
            "description": "By what the instruments are found anew every few minutes; empty where they were named."
        },
    )
    steps = fields.List(
        fields.Nested(WaitStepOut),
        required=True,
        metadata={"description": "Those of a process, which are offered or booked as one."},
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
    windows = fields.List(
        fields.Nested(WindowOut),
        required=True,
        metadata={"description": "Parts of it in which the use may lie; none: anywhere."},
    )
    at_once = fields.Boolean(required=True, metadata={"description": "What is found is booked, not offered."})
    may_move = fields.Boolean(required=True)
    reasons = fields.List(
        fields.Nested(WhyOut),
        required=True,
        metadata={"description": "Why nothing was found, and what is next best, once the time is over."},
    )
    project_id = fields.UUID(required=True, allow_none=True)
    state = Choice(EntryState, required=True)
    ahead = fields.Integer(
        required=True, metadata={"description": "How many have their turn before, for some of the same time."}
    )
    joined_at = Instant(required=True)
    booking_id = fields.UUID(required=True, allow_none=True, metadata={"description": "What came of it."})
    standby = fields.Nested(
        OnStandbyOut,
        required=True,
        allow_none=True,
        metadata={"description": "Null for who waits in line only."},
    )
    offer = fields.Nested(OfferedOut, required=True, allow_none=True)


class WaitsOut(PageOut):
    """Places in the line."""

    items = fields.List(fields.Nested(WaitOut), required=True)

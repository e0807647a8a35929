"""Routes: the steps of a process as they come in, the route as it is told; changeovers and shared utilities."""

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from booking.api.schemas.bookings import EstimateOut
from booking.api.schemas.fields import (
    LONGEST_TEXT,
    MOST_UNITS,
    Flag,
    In,
    Instant,
    Key,
    Length,
    Out,
    Text,
    Whole,
)
from booking.api.schemas.instruments import FiltersIn
from booking.api.schemas.problems import ReasonOut
from booking.services.processes import (
    LONGEST_CHANGEOVER,
    LONGEST_FAMILY,
    MOST_CAPACITY,
    MOST_FAMILIES,
    MOST_UTILITIES,
)
from booking.services.routes import MOST_STEPS
from booking.services.waitlist import LONGEST_PURPOSE

_EACH = ("q", "facility", "network", "region", "kind", "category", "capability")
_FAMILY = {"description": "What is worked on; changeovers lie between families.", "example": "milk"}
_UTILITY = {"description": "The code of a shared utility of the facility.", "example": "STEAM"}


class DrawIn(In):
    """What a step draws of a shared utility for as long as it runs."""

    utility = Text(longest=40, required=True, metadata=_UTILITY)
    amount = Whole(least=1, most=MOST_CAPACITY, required=True, metadata={"example": 120})


class StepIn(FiltersIn):
    """A step: on one instrument, or on any that fits the filters."""

    instrument_id = Text(longest=40, load_default="", metadata={"example": "DG-FOOD-02"})
    duration = Length(required=True, metadata={"format": "duration", "example": "PT4H"})
    lag_least = Length(
        none=True,
        load_default=timedelta(0),
        metadata={
            "format": "duration",
            "example": "PT30M",
            "description": "It starts at least so long after the end of the step before.",
        },
    )
    lag_most = Length(
        none=True,
        load_default=timedelta(days=1),
        metadata={"format": "duration", "example": "PT2H", "description": "And at most so long after it."},
    )
    family = Text(longest=LONGEST_FAMILY, load_default="", metadata=_FAMILY)
    draws = fields.List(
        fields.Nested(DrawIn, error_messages={"null": "required", "type": "malformed"}),
        load_default=list,
        validate=validate.Length(max=MOST_UTILITIES, error="too_large"),
        error_messages={"null": "required", "invalid": "malformed"},
    )
    quantity = Whole(least=1, most=MOST_UNITS, load_default=1)

    @post_load
    def _understood(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        for name in ("duration", "lag_least", "lag_most"):
            if data[name].total_seconds() % 60:
                raise ValidationError({name: ["out_of_range"]})
            data[name] = int(data[name].total_seconds() // 60)
        data["filters"] = {name: data.pop(name) for name in _EACH if name in data}
        if bool(data["instrument_id"]) == any(data["filters"].values()):
            raise ValidationError({"instrument_id": ["unknown" if data["instrument_id"] else "required"]})
        return data


class _WhenIn(In):
    after = Instant(allow_none=True, load_default=None, metadata={"description": "By default now."})
    before = Instant(
        allow_none=True, load_default=None, metadata={"description": "By default 30 days later; 92 at most."}
    )


class RouteIn(_WhenIn):
    """A process in ordered steps."""

    steps = fields.List(
        fields.Nested(StepIn, error_messages={"null": "required", "type": "malformed"}),
        required=True,
        validate=[
            validate.Length(min=1, error="required"),
            validate.Length(max=MOST_STEPS, error="too_large"),
        ],
        error_messages={"null": "required", "required": "required", "invalid": "malformed"},
    )
    project_id = Key(allow_none=True, load_default=None, metadata={"description": "A project one works for."})


class RoutePlaceIn(In):
    """Where and when a step is to be."""

    instrument_id = Text(longest=40, required=True, metadata={"example": "DG-FOOD-02"})
    start = Instant(required=True, metadata={"example": "2026-11-23T09:00:00+08:00"})


class RouteBookingIn(RouteIn):
    """A process to be booked: at the places that one was told, or at the earliest there are."""

    places = fields.List(
        fields.Nested(RoutePlaceIn, error_messages={"null": "required", "type": "malformed"}),
        load_default=list,
        validate=validate.Length(max=MOST_STEPS, error="too_large"),
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": "One for each step; without any, the earliest route is booked."},
    )
    purpose = Text(longest=LONGEST_TEXT, lines=True, load_default="")
    confidential = Flag(allow_none=True, load_default=None)


class RouteWishIn(RouteIn):
    """A process to wait for."""

    at_once = Flag(
        load_default=False,
        metadata={"description": "Book what is found; else it is offered, and kept while one answers."},
    )
    may_move = Flag(
        load_default=False,
        metadata={"description": "After an outage it may be moved a little so that others find room."},
    )
    purpose = Text(longest=LONGEST_PURPOSE, lines=True, load_default="")


class MoveIn(_WhenIn):
    """When the whole process is to be instead."""


class RouteItemOut(Out):
    """A step with its place."""

    instrument_id = fields.String(required=True, metadata={"example": "DG-FOOD-02"})
    start = Instant(required=True)
    end = Instant(required=True)
    quantity = fields.Integer(required=True)
    family = fields.String(required=True, metadata=_FAMILY)


class RouteOut(Out):
    """The earliest route, and what the rules say of it."""

    items = fields.List(
        fields.Nested(RouteItemOut),
        required=True,
        metadata={"description": "One for each step; none where no route is free."},
    )
    start = Instant(required=True, allow_none=True)
    end = Instant(required=True, allow_none=True)
    allowed = fields.Boolean(required=True)
    reasons = fields.List(fields.Nested(ReasonOut), required=True)
    needs_approval = fields.Boolean(required=True)
    estimate = fields.Nested(EstimateOut, required=True, allow_none=True)


class ChangeoverPlaceIn(In):
    """A facility, or one of its instruments."""

    facility = Text(longest=40, load_default="", metadata={"example": "DG-FOOD"})
    instrument = Text(longest=40, load_default="", metadata={"example": "DG-FOOD-02"})

    @post_load
    def _one(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if bool(data["facility"]) == bool(data["instrument"]):
            raise ValidationError({"facility": ["unknown" if data["facility"] else "required"]})
        return data


class ChangeoverIn(In):
    """The minutes between two families of work."""

    before = Text(longest=LONGEST_FAMILY, required=True, metadata=_FAMILY)
    after = Text(longest=LONGEST_FAMILY, required=True, metadata={"example": "soy"})
    minutes = Whole(least=0, most=LONGEST_CHANGEOVER, required=True, metadata={"example": 240})


class ChangeoversIn(ChangeoverPlaceIn):
    """A whole matrix; pairs that are not named take no time."""

    changeovers = fields.List(
        fields.Nested(ChangeoverIn, error_messages={"null": "required", "type": "malformed"}),
        required=True,
        validate=validate.Length(max=MOST_FAMILIES**2, error="too_large"),
        error_messages={"null": "required", "required": "required", "invalid": "malformed"},
    )


class ChangeoverOut(Out):
    """The minutes between two families of work."""

    before = fields.String(required=True, metadata=_FAMILY)
    after = fields.String(required=True)
    minutes = fields.Integer(required=True)


class ChangeoversOut(Out):
    """The matrix of a place."""

    changeovers = fields.List(fields.Nested(ChangeoverOut), required=True)


class UtilityIn(In):
    """What many instruments of a facility share."""

    name_zh = Text(longest=200, required=True, metadata={"example": "蒸汽"})
    name_en = Text(longest=200, load_default="", metadata={"example": "Steam"})
    unit = Text(longest=40, load_default="", metadata={"example": "kg/h"})
    capacity = Whole(
        least=0,
        most=MOST_CAPACITY,
        required=True,
        metadata={"description": "So much there is at once.", "example": 300},
    )


class UtilityOut(Out):
    """What many instruments of a facility share."""

    code = fields.String(required=True, metadata=_UTILITY)
    name_zh = fields.String(required=True)
    name_en = fields.String(required=True)
    unit = fields.String(required=True)
    capacity = fields.Integer(required=True)


class UtilitiesOut(Out):
    """The shared utilities of a facility."""

    items = fields.List(fields.Nested(UtilityOut), required=True)

"""Free spans, what stands in the ledger, and times that could be had."""

from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema
from marshmallow.validate import OneOf

from booking.api.schemas.fields import (
    MOST_UNITS,
    Choice,
    In,
    Instant,
    Length,
    Money,
    Out,
    QueryInstant,
    Text,
    Whole,
    span,
)
from booking.api.schemas.instruments import FiltersIn, NearIn
from booking.domain.availability import DAYS, PARTS
from booking.domain.lifecycle import State
from booking.domain.moments import stamp
from booking.domain.occupation import Kind
from booking.domain.rules import LONGEST
from booking.services.finder import SORTS
from booking.services.taken import Taken

MOST_OFFERS = 100
MOST_YUAN = 1_000_000_000


class WindowIn(In):
    """From when to when is asked; at most 400 days."""

    start = QueryInstant(required=True, data_key="from", metadata={"example": "2026-11-23T00:00:00+08:00"})
    end = QueryInstant(required=True, data_key="to", metadata={"example": "2026-11-30T00:00:00+08:00"})

    @validates_schema
    def _bounded(self, data: dict[str, datetime], **_: Any) -> None:
        span(data["start"], data["end"], field="to")
        if data["end"] - data["start"] > LONGEST:
            raise ValidationError({"to": ["out_of_range"]})

    @post_load
    def _span(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["within"] = span(data.pop("start"), data.pop("end"))
        return data


class FindIn(FiltersIn, NearIn, WindowIn):
    """What is looked for: how long, in which window, on which instruments, on what terms; and how it is sorted."""

    duration = Length(
        required=True,
        metadata={
            "format": "duration",
            "example": "PT2H",
            "description": "ISO 8601, without months and years.",
        },
    )
    quantity = Whole(least=1, most=MOST_UNITS, in_query=True, load_default=1)
    part = fields.String(
        load_default="",
        validate=OneOf(["", *PARTS], error="unknown"),
        metadata={
            "description": "In which part of the day it begins, by the facility's clock: morning from 6, afternoon "
            "from 12, night from 18 to 6."
        },
    )
    days = fields.String(
        load_default="",
        validate=OneOf(["", *DAYS], error="unknown"),
        metadata={"description": "On which days it begins."},
    )
    terms = Text(
        longest=40,
        load_default="",
        metadata={
            "description": "`instant`: no approval; `trained`: no training that the reader lacks; `operated`: the "
            "facility's operator does the work. Several with commas between.",
            "example": "instant,trained",
        },
    )
    ceiling = Whole(
        least=1,
        most=MOST_YUAN,
        in_query=True,
        load_default=None,
        metadata={"description": "The highest estimate, in yuan.", "example": 1000},
    )
    sort = fields.String(
        load_default="earliest",
        validate=OneOf(SORTS, error="unknown"),
        metadata={"description": "The nearest first wants `near`."},
    )
    limit = Whole(least=1, most=MOST_OFFERS, in_query=True, load_default=50)


class FreeSpanOut(Out):
    """Open time in which so many units are free throughout."""

    start = Instant(required=True)
    end = Instant(required=True)
    free = fields.Integer(required=True, metadata={"description": "How many units can be had."})


class FreeOut(Out):
    """The open time of an instrument that can be had."""

    spans = fields.List(fields.Nested(FreeSpanOut), required=True)


class BarOut(Out):
    """Time that is taken, as this reader may see it."""

    instrument_id = fields.String(required=True)
    start = Instant(required=True, metadata={"description": "With set-up."})
    end = Instant(required=True, metadata={"description": "With clean-up."})
    use_start = Instant(required=True)
    use_end = Instant(required=True)
    quantity = fields.Integer(required=True)
    kind = Choice(Kind, required=True)
    booking_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "Null unless the reader may see the booking."},
    )
    title = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null unless the reader may see the booking."},
    )
    state = Choice(State, required=True, allow_none=True)
    mine = fields.Boolean(required=True)


_LINE = (
    '{"instrument_id":%s,"start":"%s","end":"%s","use_start":"%s","use_end":"%s","quantity":%d,"kind":"%s",'
    '"booking_id":%s,"title":%s,"state":%s,"mine":%s}'
)


def bar_line(one: Taken) -> str:
    """Write a row of the ledger as `BarOut` would: thousands of them are one answer."""
    code, start, end, use_start, use_end, quantity, kind, booking_id, title, state, mine = one
    return _LINE % (
        quoted(code),
        stamp(start),
        stamp(end),
        stamp(use_start),
        stamp(use_end),
        quantity,
        kind,
        f'"{booking_id}"' if booking_id else "null",
        "null" if title is None else quoted(title),
        f'"{state}"' if state else "null",
        "true" if mine else "false",
    )


class OccupationsOut(Out):
    """What stands in the ledger of time."""

    occupations = fields.List(fields.Nested(BarOut), required=True)


class PriceOut(Out):
    """What something would cost."""

    total = Money(required=True, metadata={"example": "1200.00"})
    currency = fields.String(required=True, metadata={"example": "CNY"})


class OfferOut(Out):
    """A time at which an instrument can be had."""

    instrument_id = fields.String(required=True, metadata={"example": "DG-SLAB-05"})
    start = Instant(required=True)
    end = Instant(required=True)
    estimate = fields.Nested(
        PriceOut,
        required=True,
        allow_none=True,
        metadata={"description": "Null where the price is negotiated."},
    )
    km = fields.Float(
        allow_none=True,
        metadata={"description": "Where `near` was asked: how far it is, null where that is not known."},
    )


class OffersOut(Out):
    """Times that could be had, in the order that was asked for."""

    offers = fields.List(fields.Nested(OfferOut), required=True)

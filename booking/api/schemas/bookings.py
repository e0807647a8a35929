"""Bookings: what places and changes one, and how one is told."""

from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from booking.api.schemas.approvals import chemicals
from booking.api.schemas.availability import PriceOut
from booking.api.schemas.fields import (
    LONGEST_TEXT,
    MOST_UNITS,
    Choice,
    Day,
    Figure,
    Flag,
    In,
    Instant,
    Key,
    Money,
    Out,
    QueryInstant,
    Text,
    Whole,
    span,
    stamp,
)
from booking.api.schemas.paging import PageIn, PageOut
from booking.api.schemas.problems import AlternativeOut, ReasonOut
from booking.domain.approvals import Need, Silence, Who
from booking.domain.calendars import event_uid
from booking.domain.lifecycle import State
from booking.domain.pricing import Unit
from booking.domain.replanning import IfSilent
from booking.domain.spans import Span
from booking.http.context import settings
from models import Booking, Person

MOST_ITEMS = 50

_INSTRUMENT = {"description": "An instrument's id.", "example": "DG-SLAB-05"}
_START = {"description": "RFC 3339 with an offset.", "example": "2026-11-23T09:00:00+08:00"}
_END = {
    "description": "RFC 3339 with an offset; the end itself is not part.",
    "example": "2026-11-23T11:00:00+08:00",
}
_QUANTITY = {"description": "How many of the instrument's units.", "example": 1}


class ItemIn(In):
    """Time on one instrument."""

    instrument_id = Text(longest=40, required=True, metadata=_INSTRUMENT)
    start = Instant(required=True, metadata=_START)
    end = Instant(required=True, metadata=_END)
    quantity = Whole(least=1, most=MOST_UNITS, load_default=1, metadata=_QUANTITY)

    @post_load
    def _spanned(self, data: dict[str, Any], **_: Any) -> tuple[str, Span, int]:
        return data["instrument_id"], span(data["start"], data["end"]), data["quantity"]


class _ItemsIn(In):
    """One item by the fields of its own, or several in `items`; both at once is neither."""

    instrument_id = Text(longest=40, metadata=_INSTRUMENT)
    start = Instant(metadata=_START)
    end = Instant(metadata=_END)
    quantity = Whole(least=1, most=MOST_UNITS, metadata=_QUANTITY)
    items = fields.List(
        fields.Nested(ItemIn, error_messages={"null": "required", "type": "malformed"}),
        validate=[
            validate.Length(min=1, error="required"),
            validate.Length(max=MOST_ITEMS, error="too_large"),
        ],
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": "Time on several instruments, all or nothing."},
    )

    _single = ("instrument_id", "start", "end", "quantity")

    @validates_schema
    def _one_form(self, data: dict[str, Any], **_: Any) -> None:
        if "items" in data:
            both = {name: ["unknown"] for name in self._single if name in data}
            if both:
                raise ValidationError(both)
            if len(set(data["items"])) < len(data["items"]):
                raise ValidationError({"items": ["duplicate"]})
        elif "start" in data and "end" in data:
            span(data["start"], data["end"])


class BookingIn(_ItemsIn):
    """A wish, to be placed."""

    chemicals = chemicals(load_default=list)
    purpose = Text(longest=LONGEST_TEXT, lines=True, load_default="")
    project_id = Key(allow_none=True, load_default=None, metadata={"description": "A project one works for."})
    booked_for = Text(
        longest=254,
        allow_none=True,
        load_default=None,
        metadata={
            "description": "Another person for whom one may book: their address or id. Staff may for anybody, "
            "leaders for the members of their organisation and project.",
            "example": "ben@example.org",
        },
    )
    confidential = Flag(
        allow_none=True,
        load_default=None,
        metadata={
            "description": "Hide who and why from others; by default what suits organisation and instrument."
        },
    )

    override_reason = Text(
        longest=500,
        load_default="",
        metadata={
            "description": "Why a manager of every facility concerned sets aside the rules that may be; the history "
            "keeps it."
        },
    )

    needed_by = Day(
        allow_none=True,
        load_default=None,
        metadata={
            "description": "The last day of use; after an outage a later place is hardly better than none."
        },
    )

    needs = Text(
        longest=200,
        load_default="",
        metadata={
            "description": "What an instrument must be able to do to be as good, several with commas between; refusals "
            "offer such ones. Without it, all that the one asked for can do.",
            "example": "volume_l>=50",
        },
    )

    @validates_schema
    def _complete(self, data: dict[str, Any], **_: Any) -> None:
        if "items" not in data:
            lacking = {name: ["required"] for name in self._single[:3] if name not in data}
            if lacking:
                raise ValidationError(lacking)

    @post_load
    def _itemised(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "items" not in data:
            data["items"] = [
                (
                    data.pop("instrument_id"),
                    span(data.pop("start"), data.pop("end")),
                    data.pop("quantity", 1),
                )
            ]
        return data


class DryRunIn(BookingIn):
    """A wish, to be judged."""

    chemicals = chemicals(load_default=None, allow_none=True)
    booking_id = Key(
        allow_none=True,
        load_default=None,
        metadata={"description": "The booking that would be moved so; without it, a new one is judged."},
    )


class BookingChangeIn(_ItemsIn):
    """What is to be another; what is left out stays."""

    chemicals = chemicals()
    purpose = Text(longest=LONGEST_TEXT, lines=True)
    confidential = Flag()
    override_reason = Text(
        longest=500,
        load_default="",
        metadata={"description": "Why a manager makes an exception of the rules."},
    )


class CancellationIn(In):
    """Why it is given up."""

    reason = Text(longest=500, lines=True, load_default="")
    override_reason = Text(
        longest=500,
        load_default="",
        metadata={"description": "Why a manager makes an exception of the rules."},
    )


class Decision(StrEnum):
    """A manager's yes or no."""

    APPROVE = "approve"
    REJECT = "reject"


class ApprovalIn(In):
    """A decision on a request by somebody whose word it waits for."""

    decision = Choice(Decision, required=True)
    step_id = Key(
        allow_none=True,
        load_default=None,
        metadata={"description": "One open step; without it, all on which one may speak."},
    )
    comment = Text(longest=500, lines=True, load_default="")


class NothingIn(In):
    """An empty object, or no body at all."""


class Condition(StrEnum):
    """How the instrument was left."""

    NORMAL = "normal"
    FAULTY = "faulty"


class FeedbackIn(In):
    """What somebody says of the use."""

    rating = Whole(least=1, most=5, allow_none=True, load_default=None)
    condition = Choice(Condition, allow_none=True, load_default=None)
    instrument_id = Text(
        longest=40,
        load_default="",
        metadata={"description": "Which instrument is faulty; needed where the booking has several."},
    )
    comment = Text(longest=LONGEST_TEXT, lines=True, load_default="")
    samples = Whole(
        least=0,
        most=MOST_UNITS,
        allow_none=True,
        load_default=None,
        metadata={"description": "How many samples were measured."},
    )


class NoShowIn(In):
    """Whether the person is excused and loses no points."""

    excused = Flag(load_default=False)


class ExtensionIn(In):
    """By how much; without it a step of the instruments."""

    minutes = Whole(least=1, most=24 * 60, allow_none=True, load_default=None)


class BookingsIn(PageIn):
    """Which bookings, of those that one may see."""

    mine = Flag(in_query=True, load_default=False, metadata={"description": "Only one's own."})
    instrument = Text(longest=40, load_default="", metadata={"description": "On the instrument of this id."})
    facility = Text(longest=40, load_default="", metadata={"description": "At the facility of this id."})
    start = QueryInstant(data_key="from", metadata={"description": "That end after it."})
    end = QueryInstant(data_key="to", metadata={"description": "That begin before it."})
    state = fields.List(Choice(State), load_default=list, metadata={"description": "In any of these states."})


class BookingItemOut(Out):
    """Time on one instrument."""

    instrument_id = fields.String(required=True, attribute="instrument.code", metadata=_INSTRUMENT)
    start = Instant(required=True, attribute="starts_at")
    end = Instant(required=True, attribute="ends_at")
    quantity = fields.Integer(required=True)


class PersonOut(Out):
    """Somebody with an account."""

    id = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"example": "Ada"})


class BookingOut(Out):
    """Time on one or several instruments, for one person."""

    id = fields.UUID(required=True)
    items = fields.List(fields.Nested(BookingItemOut), required=True)
    start = Instant(
        required=True, attribute="starts_at", metadata={"description": "Of the first item's use."}
    )
    end = Instant(required=True, attribute="ends_at", metadata={"description": "Of the last item's use."})
    state = Choice(State, required=True)
    version = fields.Integer(
        required=True, metadata={"description": "Rises with every change; `ETag` and `If-Match` in quotes."}
    )
    purpose = fields.String(required=True)
    project_id = fields.UUID(required=True, allow_none=True)
    confidential = fields.Boolean(required=True)
    may_move = fields.Boolean(
        required=True,
        metadata={
            "description": "After an outage it may be moved by a day at most so that others find room."
        },
    )
    makes_room = fields.Boolean(
        required=True,
        metadata={
            "description": "It may be moved by a day at most, once, so that somebody who waits finds room."
        },
    )
    needed_by = fields.Date(
        required=True,
        allow_none=True,
        metadata={
            "description": "The last day of use; after an outage a later place is hardly better than none."
        },
    )
    if_silent = Choice(
        IfSilent,
        required=True,
        metadata={
            "description": "What becomes of it if an outage displaces it and its owner does not answer."
        },
    )
    booked_for = fields.Nested(
        PersonOut, required=True, attribute="person", metadata={"description": "Whose booking it is."}
    )
    booked_by = fields.Nested(
        PersonOut,
        required=True,
        allow_none=True,
        metadata={"description": "Who booked it for them; null if they did it themselves."},
    )
    series_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "The series of which it is a date."}
    )
    series_day = fields.Date(
        required=True, allow_none=True, metadata={"description": "Which date, wherever it was moved."}
    )
    uid = fields.Function(
        lambda booking: event_uid(str(booking.id), settings().host_name),
        required=True,
        metadata={
            "type": "string",
            "description": "Its name in calendars; of an item at a time of its own, `<id>-<item>@<host>`.",
        },
    )
    sequence = fields.Integer(
        required=True, metadata={"description": "Rises with every change that calendars must know."}
    )
    created_at = Instant(required=True)


def booking_told(booking: Booking) -> dict[str, Any]:
    """Give what `BookingOut` gives, in a tenth of the time."""
    return {
        "id": str(booking.id),
        "items": [
            {
                "instrument_id": item.instrument.code,
                "start": stamp(item.starts_at),
                "end": stamp(item.ends_at),
                "quantity": item.quantity,
            }
            for item in booking.items
        ],
        "start": stamp(booking.starts_at),
        "end": stamp(booking.ends_at),
        "state": booking.state.value,
        "version": booking.version,
        "purpose": booking.purpose,
        "project_id": _text_or_none(booking.project_id),
        "confidential": booking.confidential,
        "may_move": booking.may_move,
        "makes_room": booking.makes_room,
        "needed_by": _day_or_none(booking.needed_by),
        "if_silent": booking.if_silent.value,
        "booked_for": _person_told(booking.person),
        "booked_by": _person_told(booking.booked_by) if booking.booked_by else None,
        "series_id": _text_or_none(booking.series_id),
        "series_day": _day_or_none(booking.series_day),
        "uid": event_uid(str(booking.id), settings().host_name),
        "sequence": booking.sequence,
        "created_at": stamp(booking.created_at),
    }


def _person_told(person: Person) -> dict[str, str]:
    return {"id": str(person.id), "name": person.name}


def _text_or_none(key: UUID | None) -> str | None:
    return None if key is None else str(key)


def _day_or_none(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


class BookingsOut(PageOut):
    """A page of bookings, by start."""

    items = fields.List(fields.Nested(BookingOut), required=True)


class ChargeOut(Out):
    """A line of an estimate."""

    amount = Money(required=True, metadata={"example": "1200.00"})
    hours = Figure(required=True, metadata={"example": "2"})
    rate = Money(required=True, metadata={"example": "600.00"})
    unit = Choice(Unit, required=True)
    quantity = fields.Integer(required=True)


class EstimateOut(PriceOut):
    """What a booking would cost by the prices in force."""

    total = Money(
        required=True,
        allow_none=True,
        metadata={"description": "Null where a line is negotiated.", "example": "1200.00"},
    )
    lines = fields.List(
        fields.Nested(ChargeOut, allow_none=True),
        required=True,
        metadata={"description": "One per item, null where it is negotiated."},
    )


class ConditionsOut(Out):
    """What must still come true before a booking begins."""

    items = fields.List(fields.Nested(ReasonOut), required=True)


class ForetoldOut(Out):
    """A step of approval that a wish would have to pass."""

    facility_id = fields.String(required=True, metadata={"example": "DG-SLAB"})
    name = fields.String(required=True, metadata={"description": "Empty: the facility's own approval."})
    stage = fields.Integer(
        required=True, metadata={"description": "Steps of one stage are open side by side."}
    )
    need = Choice(Need, required=True)
    conditions = fields.List(
        fields.Dict(),
        required=True,
        metadata={
            "description": "Those of the rule's conditions that hold, with their figures: `value` minutes or yuan,"
            " `opens` and `closes` minutes of the day.",
            "example": [{"condition": "over_minutes", "value": 480}],
        },
    )
    role = Choice(
        Who, required=True, allow_none=True, metadata={"description": "Whose word is asked for, by role."}
    )
    people = fields.List(
        fields.Nested(PersonOut), required=True, metadata={"description": "Or who is asked, by name."}
    )
    deadline_days = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Working days in which to answer."}
    )
    on_silence = Choice(Silence, required=True)


class VerdictOut(Out):
    """What would happen to a wish."""

    allowed = fields.Boolean(required=True)
    reasons = fields.List(fields.Nested(ReasonOut), required=True)
    alternatives = fields.List(fields.Nested(AlternativeOut), required=True)
    estimate = fields.Nested(EstimateOut, required=True)
    needs_approval = fields.Boolean(
        required=True, metadata={"description": "Of a change: whether it has to be approved anew."}
    )
    steps = fields.List(
        fields.Nested(ForetoldOut),
        required=True,
        metadata={"description": "The steps of approval that would be asked for, by stage."},
    )
    conditions = fields.List(
        fields.Nested(ReasonOut),
        required=True,
        metadata={"description": "What must come true before its start, such as a training."},
    )
    unannounced_years = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "Years judged by weekday alone, though a rule asks for public holidays."},
    )


class AgreementIn(In):
    """What the facility may do with a booking after an outage, and for those who wait."""

    may_move = Flag(required=True)
    makes_room = Flag(metadata={"description": "Left out, it stays as it was."})
    needed_by = Day(allow_none=True, metadata={"description": "Left out, it stays as it was."})
    if_silent = Choice(IfSilent, required=True)

"""Reports of faults: what makes, settles and tells one."""

from marshmallow import fields

from booking.api.schemas.bookings import PersonOut
from booking.api.schemas.fields import LONGEST_TEXT, Choice, Flag, In, Instant, Out, Text
from models import FaultState


class FaultIn(In):
    """What is wrong with which instrument."""

    instrument_id = Text(longest=40, required=True, metadata={"example": "DG-SLAB-05"})
    text = Text(longest=LONGEST_TEXT, lines=True, required=True, metadata={"example": "The stage sticks."})
    stops_work = Flag(load_default=False, metadata={"description": "It cannot be used like this."})


class FaultsIn(In):
    """Whose reports, or of which instrument."""

    facility = Text(
        longest=40,
        load_default="",
        metadata={"description": "All of a facility, for its staff; else one's own."},
    )
    instrument = Text(longest=40, load_default="", metadata={"description": "Of the instrument of this id."})
    waiting = Flag(
        in_query=True, load_default=False, metadata={"description": "Only those that are not over."}
    )


class ConfirmationIn(In):
    """That it is so, and until when the instrument cannot be had."""

    answer = Text(longest=500, lines=True, load_default="")
    down_until = Instant(
        load_default=None,
        allow_none=True,
        metadata={"description": "Close the instrument at once until then, whatever is booked."},
    )


class AnswerIn(In):
    """A word to the person who reported it."""

    answer = Text(longest=500, lines=True, load_default="")


class FaultOut(Out):
    """A report."""

    id = fields.UUID(required=True)
    instrument_id = fields.String(required=True, attribute="instrument.code")
    booking_id = fields.UUID(required=True, allow_none=True)
    closure_id = fields.UUID(required=True, allow_none=True)
    reported_by = fields.Nested(PersonOut, required=True, attribute="person")
    text = fields.String(required=True)
    stops_work = fields.Boolean(required=True)
    state = Choice(FaultState, required=True)
    answer = fields.String(required=True)
    reported_at = Instant(required=True)
    settled_at = Instant(required=True, allow_none=True)


class FaultConfirmedOut(FaultOut):
    """A confirmed report and what putting the instrument down displaced."""

    displaced = fields.List(
        fields.UUID(), required=True, metadata={"description": "The ids of the bookings that it meets."}
    )


class FaultsOut(Out):
    """Reports, the newest first."""

    items = fields.List(fields.Nested(FaultOut), required=True)
    total = fields.Integer(required=True)

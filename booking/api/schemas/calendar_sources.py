"""Calendars kept elsewhere: what makes a subscription and how one is told."""

from marshmallow import fields, validate

from booking.api.schemas.fields import Choice, Flag, In, Instant, Out, Text
from booking.domain.calendar_sources import Means, SourceState

_MEANS = (
    "What its events say. `maintenance`, `bookings` (of another system): the instruments are not to be had meanwhile."
    " `roster`: somebody is there, and outside of it the instruments are not to be had."
)
_INSTRUMENTS = "The instruments that it blocks; none: every instrument of the facility, later ones too."
_FLOATING = (
    "The zone of times that name none, such as Asia/Shanghai; empty: the zone that the calendar names for them, or"
    " the facility's."
)
_TRANSPARENT = "Whether events with hours count though they are marked as free."


class CalendarSourceIn(In):
    """A wish to subscribe to a calendar."""

    name = Text(longest=100, required=True, metadata={"description": "What managers call it."})
    url = Text(
        longest=1000,
        required=True,
        metadata={
            "description": "https, http or webcal. As good as a password: it is never shown again as a whole.",
            "example": "https://calendar.example.org/plans/basic.ics",
        },
    )
    means = Choice(Means, required=True, metadata={"description": _MEANS})
    instruments = fields.List(
        Text(longest=40),
        load_default=list,
        validate=validate.Length(max=500, error="too_many"),
        metadata={"description": _INSTRUMENTS},
    )
    transparent = Flag(load_default=False, metadata={"description": _TRANSPARENT})
    floating_zone = Text(longest=64, load_default="", metadata={"description": _FLOATING})


class CalendarSourceChangeIn(In):
    """What shall be otherwise about a subscription."""

    name = Text(longest=100, metadata={"description": "What managers call it."})
    url = Text(longest=1000, metadata={"description": "Another address; as good as a password."})
    means = Choice(Means, metadata={"description": _MEANS})
    instruments = fields.List(
        Text(longest=40),
        validate=validate.Length(max=500, error="too_many"),
        metadata={"description": _INSTRUMENTS},
    )
    transparent = Flag(metadata={"description": _TRANSPARENT})
    floating_zone = Text(longest=64, metadata={"description": _FLOATING})


class RefreshIn(In):
    """Whether it is meant so that most of a calendar is gone."""

    accept_fewer = Flag(
        load_default=False, metadata={"description": "Take it over though most of what was ahead is gone."}
    )


class SourceFailureOut(Out):
    """Why a calendar could not be taken over."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    since = Instant(required=True)


class CalendarSourceOut(Out):
    """A calendar kept elsewhere, for the managers of its facility."""

    id = fields.UUID(required=True)
    facility_id = fields.String(required=True)
    name = fields.String(required=True)
    url = fields.String(
        required=True, metadata={"description": "Masked: where it leads, and its last letters."}
    )
    means = Choice(Means, required=True, metadata={"description": _MEANS})
    instruments = fields.List(fields.String(), required=True, metadata={"description": _INSTRUMENTS})
    transparent = fields.Boolean(required=True, metadata={"description": _TRANSPARENT})
    floating_zone = fields.String(required=True, metadata={"description": _FLOATING})
    state = Choice(SourceState, required=True)
    failure = fields.Nested(SourceFailureOut, required=True, allow_none=True)
    held_back = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "So many events are left of many; nothing of it is taken over before one agrees."
        },
    )
    events = fields.Integer(required=True, metadata={"description": "So many are ahead or under way."})
    fetched_at = Instant(required=True, allow_none=True)
    next_at = Instant(required=True, allow_none=True)
    clashes = fields.List(
        fields.UUID(), required=True, metadata={"description": "The bookings that lie in its busy time."}
    )
    replan_id = fields.UUID(required=True, allow_none=True)


class CalendarSourcesOut(Out):
    """Calendars to which a facility subscribes, by name."""

    items = fields.List(fields.Nested(CalendarSourceOut), required=True)
    total = fields.Integer(required=True)


class OutsideEventOut(Out):
    """An event of a calendar elsewhere."""

    start = Instant(required=True)
    end = Instant(required=True)
    all_day = fields.Boolean(required=True)
    title = fields.String(required=True)


class SpanOut(Out):
    """A span of time."""

    start = Instant(required=True)
    end = Instant(required=True)


class CalendarPreviewOut(Out):
    """What a calendar would do in its first 30 days."""

    events = fields.List(fields.Nested(OutsideEventOut), required=True)
    busy = fields.List(
        fields.Nested(SpanOut),
        required=True,
        metadata={"description": "When the instruments would not be to be had."},
    )
    clashes = fields.List(
        fields.UUID(), required=True, metadata={"description": "The bookings that it would meet."}
    )
    total = fields.Integer(required=True, metadata={"description": "How many events count in a year."})
    ignored = fields.Integer(
        required=True, metadata={"description": "How many are cancelled or marked as free."}
    )
    unread = fields.Integer(required=True, metadata={"description": "How many could not be understood."})

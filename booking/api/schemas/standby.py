"""Standing by for a day: what one asks for, what one may expect, and what came of it."""

from typing import Any

from marshmallow import ValidationError, fields, post_load

from booking.api.schemas.fields import Flag, In, Key, Length, Out, Text, Whole
from booking.api.schemas.series import Day
from booking.api.schemas.waitlist import WaitOut
from booking.domain import standby
from booking.services.waitlist import LONGEST_PURPOSE


class OddsIn(In):
    """Of which day, and for how long."""

    day = Day(load_default=None, metadata={"description": "Today without it.", "example": "2026-11-23"})
    duration = Length(
        load_default=None,
        metadata={"format": "duration", "example": "PT1H", "description": "One hour without it."},
    )

    @post_load
    def _understood(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        length = data.pop("duration")
        data["minutes"] = minutes_of(length, "duration") if length else 60
        return data


class StandbyIn(In):
    """A day to stand by for, and how much of what is left one would use."""

    day = Day(required=True, metadata={"example": "2026-11-23"})
    at_least = Length(required=True, metadata={"format": "duration", "example": "PT1H"})
    at_most = Length(required=True, metadata={"format": "duration", "example": "PT4H"})
    lead_minutes = Whole(
        least=0,
        most=standby.FARTHEST,
        load_default=0,
        metadata={
            "description": "How soon one can be there after a call. With 0 one is called only while one has said that"
            " one is there."
        },
    )
    project_id = Key(allow_none=True, load_default=None, metadata={"description": "A project one works for."})
    purpose = Text(longest=LONGEST_PURPOSE, lines=True, load_default="")

    @post_load
    def _understood(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["least"] = minutes_of(data.pop("at_least"), "at_least")
        data["most"] = minutes_of(data.pop("at_most"), "at_most")
        data["lead"] = data.pop("lead_minutes")
        return data


def minutes_of(length: Any, field: str) -> int:
    """Give a length in whole minutes, no more than a day.

    :raises ValidationError: for the field, if it is none
    """
    seconds = length.total_seconds()
    if seconds % 60 or not 60 <= seconds <= standby.LONGEST * 60:
        raise ValidationError({field: ["out_of_range"]})
    return int(seconds // 60)


class PresenceIn(In):
    """Whether somebody on standby is there and ready."""

    here = Flag(required=True)


class HistoryOut(Out):
    """What became of bookings before."""

    days = fields.Integer(required=True, metadata={"description": "So many days back."})
    whole_facility = fields.Boolean(
        required=True, metadata={"description": "Of the whole facility, not of the instrument alone."}
    )
    bookings = fields.Integer(required=True)
    missed = fields.Integer(required=True, metadata={"description": "Nobody came."})
    cancelled = fields.Integer(required=True, metadata={"description": "Cancelled on the day."})
    early = fields.Integer(
        required=True, metadata={"description": "Ended early by at least the length asked."}
    )


class OddsOut(Out):
    """How likely a place comes free, from 0 to 1."""

    low = fields.Float(required=True, metadata={"description": "At the low end of the interval, 95 %."})
    likely = fields.Float(required=True, metadata={"description": "At the share that was seen."})
    high = fields.Float(required=True, metadata={"description": "At the high end of the interval, 95 %."})


class OutlookOut(Out):
    """What somebody may expect who stands by for a day."""

    instrument_id = fields.String(required=True)
    day = fields.Date(required=True)
    offered = fields.Boolean(required=True, metadata={"description": "Whether there is a standby list."})
    free = fields.Boolean(
        required=True, metadata={"description": "There is free time on the day: nobody need stand by."}
    )
    ahead = fields.Integer(required=True, metadata={"description": "So many stand by before the reader."})
    booked = fields.Integer(
        required=True, metadata={"description": "So many bookings of others begin still that day."}
    )
    odds = fields.Nested(
        OddsOut,
        required=True,
        allow_none=True,
        metadata={"description": "Null where too little is known to say."},
    )
    history = fields.Nested(HistoryOut, required=True)


class FiguresOut(Out):
    """What came of a facility's standby list."""

    days = fields.Integer(required=True)
    missed_hours = fields.Float(required=True, metadata={"description": "Hours that nobody came for."})
    refilled_hours = fields.Float(
        required=True, metadata={"description": "How many of them were used from standby."}
    )
    called = fields.Integer(required=True)
    served = fields.Integer(required=True)


class StandbyOut(Out):
    """Who stands by at a facility today, in the order of the line, and what came of it lately."""

    items = fields.List(fields.Nested(WaitOut), required=True)
    figures = fields.Nested(FiguresOut, required=True)

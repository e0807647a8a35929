"""Working days as they are told and announced."""

from datetime import date
from enum import StrEnum

from marshmallow import fields, validate

from booking.api.schemas.fields import Choice, Flag, In, Out, Text, Whole
from booking.api.schemas.series import Day
from booking.domain.working_days import LONGEST_NAME, MOST_LINES, YEARS, DayKind


class Kind(StrEnum):
    """What a day is said to be; an `ordinary` one is again what its weekday is, or what was published."""

    WORKING = "working"
    REST = "rest"
    HOLIDAY = "holiday"
    ORDINARY = "ordinary"


class YearIn(In):
    """Which year."""

    year = Whole(
        least=YEARS.start, most=YEARS.stop - 1, in_query=True, required=True, metadata={"example": 2027}
    )


class DayOut(Out):
    """A day that differs from its weekday, or is a holiday."""

    day = fields.Date(required=True)
    kind = Choice(DayKind, required=True)
    name = fields.String(required=True)
    source = fields.String(required=True, metadata={"description": "Empty for what was published."})


class YearOut(Out):
    """The days of a year; of one that is not announced yet the weekdays alone are known."""

    year = fields.Integer(required=True)
    announced = fields.Boolean(required=True)
    items = fields.List(fields.Nested(DayOut), required=True)
    total = fields.Integer(required=True)


class DayIn(In):
    """A day and what it is."""

    day = Day(
        required=True,
        validate=validate.Range(
            min=date(YEARS.start, 1, 1), max=date(YEARS.stop - 1, 12, 31), error="out_of_range"
        ),
        metadata={"example": "2027-02-05"},
    )
    kind = Choice(Kind, required=True)
    name = Text(longest=LONGEST_NAME, load_default="")


class TriedIn(In):
    """Whether nothing shall be written, and where the days come from."""

    dry_run = Flag(in_query=True, load_default=False)
    source = Text(longest=100, load_default="", metadata={"description": "Such as the number of the notice."})


class SheetIn(TriedIn):
    """The same, and what the file is called."""

    name = Text(longest=200, load_default="", metadata={"example": "2027.xlsx"})


class DaysIn(In):
    """Days to be written, all of them or none."""

    days = fields.List(
        fields.Nested(DayIn),
        required=True,
        validate=validate.Length(min=1, max=MOST_LINES, error="out_of_range"),
    )


class AnnouncedOut(Out):
    """What it did, or would do."""

    dry_run = fields.Boolean(required=True)
    turned = fields.Integer(required=True, metadata={"description": "Days that are of another sort now."})
    booking_ids = fields.List(
        fields.UUID(), required=True, metadata={"description": "Bookings ahead that stand on those."}
    )
    replan_ids = fields.List(
        fields.UUID(),
        required=True,
        metadata={"description": "For each facility with bookings on days off: its other places."},
    )

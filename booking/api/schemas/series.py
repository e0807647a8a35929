"""Series: what repeats, what is chosen for its dates, and how a series is told."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from booking.api.schemas.approvals import PaperOut, chemicals
from booking.api.schemas.bookings import BookingOut, Decision, EstimateOut, PersonOut
from booking.api.schemas.fields import (
    LONGEST_TEXT,
    MOST_UNITS,
    Choice,
    Day,
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
from booking.api.schemas.paging import PageIn, PageOut
from booking.api.schemas.problems import AlternativeOut, ReasonOut
from booking.domain.recurrence import MOST_DATES, Clock
from booking.services.series import Otherwise, Scope
from booking.services.series_dates import Way

_CODES = {"required": "required", "null": "required", "invalid": "malformed", "format": "malformed"}
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_RULE = {
    "description": "RFC 5545: `FREQ` of `DAILY`, `WEEKLY` (with `BYDAY`) or `MONTHLY` (with `BYMONTHDAY`, or `BYDAY` "
    "in a position such as `1MO` or `-1FR`), `INTERVAL`, and either `COUNT` or `UNTIL`; at most 366 dates in three "
    "years.",
    "example": "FREQ=WEEKLY;BYDAY=MO;COUNT=10",
}
_DAY = {"description": "A date that the rule gives.", "example": "2026-11-23"}
_LENGTH = {"description": "ISO 8601; of the use, whatever the clock does meanwhile.", "example": "PT2H"}
_OTHERWISE = {"description": "What becomes of dates that cannot be had and for which nothing is chosen."}


class WallTime(fields.String):
    """A time of day on the facility's clock, `09:00`; minutes after midnight inside."""

    default_error_messages = _CODES

    def __init__(self, **kwargs: Any) -> None:
        """Say how it looks."""
        said = {
            "description": "On the facility's clock, summer and winter.",
            "example": "09:00",
            "pattern": _CLOCK.pattern,
        }
        super().__init__(metadata=said, **kwargs)

    def _deserialize(self, value: Any, _attr: str | None, _data: Any, **_kwargs: Any) -> int:  # type: ignore[override]
        found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise self.make_error("invalid")
        return int(found[1]) * 60 + int(found[2])

    def _serialize(self, value: int | None, _attr: str | None, _obj: Any, **_kwargs: Any) -> str | None:
        return None if value is None else f"{value // 60:02}:{value % 60:02}"


class WholeLength(Length):
    """A duration of whole minutes."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:  # type: ignore[override]
        length = super()._deserialize(value, attr, data, **kwargs)
        if length % timedelta(minutes=1):
            raise ValidationError("malformed")
        return int(length.total_seconds()) // 60

    def _serialize(self, value: int | None, _attr: str | None, _obj: Any, **_kwargs: Any) -> str | None:
        if value is None:
            return None
        hours, minutes = divmod(value, 60)
        return "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes or not hours else "")


class Take(StrEnum):
    """What becomes of a date instead of what the rule says."""

    SKIP = "skip"
    OTHER = "other"
    WAITLIST = "waitlist"


class DateChoiceIn(In):
    """What is wanted of one date: nothing, another time or instrument, or a place in the waitlist."""

    day = Day(required=True, metadata=_DAY)
    take = Choice(Take, required=True)
    instrument_id = Text(longest=40, load_default="", metadata={"description": "Another instrument."})
    start = Instant(metadata={"description": "Another time, with `end`."})
    end = Instant()

    @validates_schema
    def _complete(self, data: dict[str, Any], **_: Any) -> None:
        timed = data.keys() & {"start", "end"}
        if len(timed) == 1:
            raise ValidationError({({"start", "end"} - timed).pop(): ["required"]})
        if timed:
            span(data["start"], data["end"])
        if data.get("take") is Take.OTHER and not timed and not data.get("instrument_id"):
            raise ValidationError({"start": ["required"]})
        if data.get("take") is not Take.OTHER and (timed or data.get("instrument_id")):
            raise ValidationError({"take": ["unknown"]})


def _choices() -> fields.List:
    return fields.List(
        fields.Nested(DateChoiceIn, error_messages={"null": "required", "type": "malformed"}),
        validate=[validate.Length(max=MOST_DATES, error="too_large"), _each_day_once],
        load_default=list,
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": "A choice for each date that needs one."},
    )


def _each_day_once(choices: list[dict[str, Any]]) -> None:
    if len({one["day"] for one in choices}) < len(choices):
        raise ValidationError("duplicate")


def _days(description: str, **given: Any) -> fields.List:
    return fields.List(
        Day(),
        validate=validate.Length(max=MOST_DATES, error="too_large"),
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": description},
        **given,
    )


class SeriesIn(In):
    """Time that is wanted again and again."""

    instrument_id = Text(longest=40, required=True, metadata={"example": "DG-SLAB-05"})
    rule = Text(longest=300, required=True, metadata=_RULE)
    first_day = Day(required=True, metadata={"example": "2026-11-23"})
    start = WallTime(required=True)
    length = WholeLength(required=True, metadata=_LENGTH)
    quantity = Whole(least=1, most=MOST_UNITS, load_default=1)
    excluded = _days("Dates of the rule that are left out.", load_default=list)
    choices = _choices()
    otherwise = Choice(Otherwise, load_default=Otherwise.REFUSE, metadata=_OTHERWISE)
    chemicals = chemicals(load_default=list)
    purpose = Text(longest=LONGEST_TEXT, lines=True, load_default="")
    project_id = Key(allow_none=True, load_default=None, metadata={"description": "A project one works for."})
    booked_for = Text(
        longest=254,
        allow_none=True,
        load_default=None,
        metadata={"description": "Another person for whom one may book: their address or id."},
    )
    confidential = Flag(allow_none=True, load_default=None)
    override_reason = Text(
        longest=500,
        load_default="",
        metadata={
            "description": "Why a manager of every facility concerned sets aside the rules that may be."
        },
    )


class SeriesChangeIn(In):
    """What is to be another, and of how many dates; what is left out stays."""

    scope = Choice(
        Scope, required=True, metadata={"description": "One date, it and those that follow, or all."}
    )
    day = Day(metadata={"description": "The date, unless it is about all.", "example": "2026-11-23"})
    start = WallTime()
    length = WholeLength(metadata=_LENGTH)
    quantity = Whole(least=1, most=MOST_UNITS)
    instrument_id = Text(longest=40)
    rule = Text(longest=300, metadata=_RULE)
    excluded = _days("All dates of the rule that are left out; one that is named no more is booked.")
    chemicals = chemicals()
    purpose = Text(longest=LONGEST_TEXT, lines=True)
    confidential = Flag()
    choices = _choices()
    otherwise = Choice(Otherwise, load_default=Otherwise.REFUSE, metadata=_OTHERWISE)
    override_reason = Text(
        longest=500,
        load_default="",
        metadata={
            "description": "Why a manager of every facility concerned sets aside the rules that may be."
        },
    )


class SeriesListIn(PageIn):
    """Which series: one's own, or those on the instruments of a facility at whose desk one works."""

    facility = Text(longest=40, load_default="", metadata={"description": "At the facility of this id."})
    over = Flag(
        in_query=True,
        load_default=False,
        metadata={"description": "Those of which no date is ahead any more, instead of those that go on."},
    )


class DateDecision(StrEnum):
    """What is decided of one date."""

    APPROVE = "approve"
    REJECT = "reject"
    LATER = "later"


class DateDecisionIn(In):
    """What is decided of one date."""

    day = Day(required=True, metadata=_DAY)
    decision = Choice(DateDecision, required=True)


class SeriesApprovalIn(In):
    """A decision on the dates of a series that wait for one's word."""

    decision = Choice(
        Decision, required=True, metadata={"description": "On all dates that `dates` does not name."}
    )
    dates = fields.List(
        fields.Nested(DateDecisionIn, error_messages={"null": "required", "type": "malformed"}),
        validate=[validate.Length(max=MOST_DATES, error="too_large"), _each_day_once],
        load_default=list,
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": "Dates on which the decision is another, or that are left for later."},
    )
    comment = Text(longest=500, lines=True, load_default="")


class SeriesDecidedOut(Out):
    """The dates that were decided, as they stand now."""

    items = fields.List(fields.Nested(BookingOut), required=True)


class SeriesPaperOut(Out):
    """A paper that stands beside dates of a series."""

    paper = fields.Nested(PaperOut, required=True)
    booking_id = fields.UUID(
        required=True, attribute="paper.booking_id", metadata={"description": "A date by which it is read."}
    )
    dates = fields.Integer(required=True, metadata={"description": "Beside how many dates it stands."})


class SeriesPapersOut(Out):
    """The papers of a series, each once."""

    items = fields.List(fields.Nested(SeriesPaperOut), required=True)


class SeriesCancellationIn(In):
    """Which dates are given up, and why."""

    scope = Choice(Scope, required=True)
    day = Day(metadata={"description": "The date, unless it is about all.", "example": "2026-11-23"})
    reason = Text(longest=500, lines=True, load_default="")


class SeriesDateIn(In):
    """A date that is to be put back, where the rule says or elsewhere."""

    day = Day(required=True, metadata=_DAY)
    instrument_id = Text(longest=40, load_default="")
    start = Instant(metadata={"description": "Another time, with `end`."})
    end = Instant()
    override_reason = Text(
        longest=500,
        load_default="",
        metadata={
            "description": "Why a manager of every facility concerned sets aside the rules that may be."
        },
    )

    @post_load
    def _spanned(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        timed = data.keys() & {"start", "end"}
        if len(timed) == 1:
            raise ValidationError({({"start", "end"} - timed).pop(): ["required"]})
        data["span"] = span(data.pop("start"), data.pop("end")) if timed else None
        return data


class DateVerdictOut(Out):
    """One date with all that the rules say of it."""

    day = fields.Date(required=True)
    instrument_id = fields.String(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    take = Choice(Way, required=True, attribute="way", metadata={"description": "What would become of it."})
    clock = Choice(
        Clock,
        required=True,
        metadata={
            "description": "What the facility's clock does: the time is `missing` and begins later, comes `twice` and "
            "the first is meant, or is `shifted` during the use."
        },
    )
    allowed = fields.Boolean(required=True)
    needs_approval = fields.Boolean(required=True)
    reasons = fields.List(fields.Nested(ReasonOut), required=True)
    alternatives = fields.List(fields.Nested(AlternativeOut), required=True)


class SeriesVerdictOut(Out):
    """What would happen to each date, without anything being written."""

    allowed = fields.Boolean(required=True)
    zone = fields.String(required=True)
    dates = fields.List(fields.Nested(DateVerdictOut), required=True)
    estimate = fields.Nested(EstimateOut, required=True)


class SeriesDateOut(Out):
    """A date of a series as it stands."""

    day = fields.Date(required=True)
    booking = fields.Nested(BookingOut, required=True, allow_none=True)
    why = fields.String(
        required=True,
        metadata={
            "description": "Why it has no booking to show: `excluded`, `skip`, `waitlist` or `handed_over`.",
            "example": "",
        },
    )
    open = fields.Boolean(required=True, metadata={"description": "Whether it may be put back."})


class SeriesOut(Out):
    """Bookings that repeat by a rule, on the facility's clock."""

    id = fields.UUID(required=True, attribute="series.id")
    instrument_id = fields.String(required=True, attribute="instrument.code")
    rule = fields.String(required=True, attribute="series.rule", metadata=_RULE)
    zone = fields.String(required=True)
    first_day = fields.Date(required=True, attribute="series.first_day")
    start = WallTime(required=True, attribute="series.start_minute")
    length = WholeLength(required=True, attribute="series.minutes")
    quantity = fields.Integer(required=True, attribute="series.quantity")
    purpose = fields.String(required=True, attribute="series.purpose")
    booked_for = fields.Nested(PersonOut, required=True, attribute="person")
    split_from = fields.UUID(required=True, allow_none=True, attribute="series.split_from")
    version = fields.Integer(required=True, attribute="series.version")
    dates = fields.List(fields.Nested(SeriesDateOut), required=True)
    created_at = Instant(required=True, attribute="series.created_at")


class SeriesSummaryOut(Out):
    """A series in a line."""

    id = fields.UUID(required=True, attribute="series.id")
    instrument_id = fields.String(required=True, attribute="instrument.code")
    rule = fields.String(required=True, attribute="series.rule", metadata=_RULE)
    zone = fields.String(required=True, attribute="series.zone")
    purpose = fields.String(required=True, attribute="series.purpose")
    booked_for = fields.Nested(PersonOut, required=True, attribute="person")
    next_start = Instant(required=True, allow_none=True, attribute="next_at")
    next_end = Instant(required=True, allow_none=True, attribute="next_ends_at")
    done = fields.Integer(required=True, metadata={"description": "Dates that are over."})
    ahead = fields.Integer(required=True, metadata={"description": "Dates that are still to come."})
    waiting = fields.Integer(
        required=True, metadata={"description": "Of those ahead, how many await approval."}
    )
    skipped = fields.Integer(required=True, metadata={"description": "Dates left out or given up."})


class SeriesListOut(PageOut):
    """A page of series, by their next date."""

    items = fields.List(fields.Nested(SeriesSummaryOut), required=True)

"""Rules: how they are written, told and tried."""

from datetime import time
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from booking.api.schemas.fields import Choice, In, Instant, Out, QueryInstant, Text, Whole
from booking.api.schemas.problems import ReasonOut
from booking.domain.policy import SETTINGS, PlaceKind, RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.quotas import MOST_DAYS, Measure, Party, Period
from booking.domain.working_days import DayKind
from booking.services.rules import LONGEST_NOTE, MOST_QUOTA, Draft

_DATE = {"invalid": "malformed", "null": "required", "format": "malformed", "required": "required"}
_PLACES = ("instrument_id", "facility_id", "network_id", "category")
_KINDS = dict(
    zip(
        _PLACES,
        (PlaceKind.INSTRUMENT, PlaceKind.FACILITY, PlaceKind.NETWORK, PlaceKind.CATEGORY),
        strict=True,
    )
)
_NAMES = ", ".join(SETTINGS)


def _day(**kwargs: Any) -> fields.Date:
    return fields.Date(allow_none=True, load_default=None, error_messages=_DATE, **kwargs)


class _Placed(In):
    """Something at exactly one place."""

    instrument_id = Text(longest=40)
    facility_id = Text(longest=40)
    network_id = Text(longest=40)
    category = Text(longest=12, metadata={"description": "The code of a class of instruments."})

    @validates_schema
    def _one_place(self, data: dict[str, Any], **_: Any) -> None:
        named = [name for name in _PLACES if data.get(name)]
        if len(named) != 1:
            raise ValidationError(
                {"facility_id" if not named else named[1]: ["required" if not named else "unknown"]}
            )

    @post_load
    def _at(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        name = next(name for name in _PLACES if data.get(name))
        return {"at": (_KINDS[name], data[name]), **{k: v for k, v in data.items() if k not in _PLACES}}


class RulesIn(_Placed):
    """Of which place."""


class RuleIn(_Placed):
    """A rule to be set, or to be tried."""

    kind = Choice(RuleKind, required=True, metadata={"description": "`setting` or `quota`."})
    name = Text(
        longest=60,
        load_default="",
        metadata={"description": f"Of a setting: {_NAMES}.", "example": "longest"},
    )
    value = Whole(
        least=0,
        most=MOST_QUOTA,
        allow_none=True,
        load_default=None,
        metadata={"description": "Minutes or a number; null is no limit.", "example": 480},
    )
    party = Choice(
        Party, allow_none=True, load_default=None, metadata={"description": "Of a quota: who is counted."}
    )
    measure = Choice(
        Measure,
        allow_none=True,
        load_default=None,
        metadata={"description": "Of a quota: hours count in minutes."},
    )
    period = Choice(Period, allow_none=True, load_default=None, metadata={"description": "Of a quota."})
    days = Whole(
        least=1,
        most=MOST_DAYS,
        allow_none=True,
        load_default=None,
        metadata={"description": "Of a rolling period."},
    )
    customer_class = Choice(CustomerClass, allow_none=True, load_default=None)
    day_kind = Choice(
        DayKind, allow_none=True, load_default=None, metadata={"description": "Shifted working days counted."}
    )
    weekdays = fields.List(
        Whole(least=0, most=6),
        load_default=list,
        metadata={"description": "0 is Monday; none is all of them."},
        error_messages={"null": "required", "invalid": "malformed"},
    )
    opens = Text(
        longest=5,
        allow_none=True,
        load_default=None,
        metadata={"description": "HH:MM where the facility stands.", "example": "08:00"},
    )
    closes = Text(
        longest=5,
        allow_none=True,
        load_default=None,
        metadata={"description": "HH:MM, to 24:00.", "example": "18:00"},
    )
    valid_from = _day(metadata={"description": "Today, unless told."})
    valid_to = _day(metadata={"description": "The day itself is not part."})
    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")

    @post_load
    def _at(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data = super()._at(data)
        at = data.pop("at")
        weekdays = data.pop("weekdays")
        mask = sum({1 << day for day in weekdays}) or None
        times = {}
        for name in ("opens", "closes"):
            raw = data.pop(name)
            times[name] = None if raw is None else clock(raw, name)
        return {"at": at, "draft": Draft(weekdays=mask, **times, **data)}


def clock(raw: str, name: str) -> int:
    """Read a time of the day as minutes; 24:00 is its end.

    :raises ValidationError: if it is none
    """
    if raw == "24:00":
        return 24 * 60
    try:
        at = time.fromisoformat(raw)
    except ValueError:
        raise ValidationError({name: ["malformed"]}) from None
    return at.hour * 60 + at.minute


def minutes(value: int | None) -> str | None:
    """Write minutes of the day as a time."""
    return None if value is None else f"{value // 60:02}:{value % 60:02}"


class RuleChangeIn(In):
    """What changes of a rule; what is left out stays."""

    value = Whole(least=0, most=MOST_QUOTA, allow_none=True)
    valid_to = fields.Date(allow_none=True, error_messages=_DATE)
    note = Text(longest=LONGEST_NOTE, lines=True)


class RuleOut(Out):
    """A rule at its place."""

    id = fields.String(required=True)
    place = Choice(PlaceKind, required=True)
    place_id = fields.String(required=True)
    kind = Choice(RuleKind, required=True)
    name = fields.String(required=True)
    value = fields.Integer(required=True, allow_none=True)
    data = fields.Dict(required=True, metadata={"description": "What else the kind needs."})
    customer_class = Choice(CustomerClass, required=True, allow_none=True)
    day_kind = Choice(DayKind, required=True, allow_none=True)
    weekdays = fields.List(fields.Integer(), required=True)
    opens = fields.String(required=True, allow_none=True)
    closes = fields.String(required=True, allow_none=True)
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(required=True, allow_none=True)
    note = fields.String(required=True)


class RulesListOut(Out):
    """The rules of a place, those that are over too."""

    items = fields.List(fields.Nested(RuleOut), required=True)
    total = fields.Integer(required=True)


class RefusedInTrialOut(Out):
    """A booking that would have been refused; who made it, the booking itself tells those who may see it."""

    booking_id = fields.UUID(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    reason = fields.Nested(ReasonOut, required=True)


class TrialOut(Out):
    """What a rule would have done to the bookings of the last thirty days."""

    start = Instant(required=True)
    end = Instant(required=True)
    tried = fields.Integer(
        required=True, metadata={"description": "The latest 5,000 at most; all of them are the `total`."}
    )
    total = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    outranked = fields.Integer(
        required=True,
        metadata={"description": "Bookings for which something nearer or more particular counts."},
    )
    items = fields.List(fields.Nested(RefusedInTrialOut), required=True)


class PolicyIn(In):
    """For a use that starts when."""

    at = QueryInstant(metadata={"description": "Now, unless told."})


class SettingOut(Out):
    """A setting in force, and where it comes from."""

    name = fields.String(required=True)
    value = fields.Integer(required=True, allow_none=True, metadata={"description": "Null is no limit."})
    place = Choice(PlaceKind, required=True)
    place_id = fields.String(required=True, allow_none=True)
    rule_id = fields.String(required=True, allow_none=True)


class PolicyOut(Out):
    """All rules of an instrument as they count for the reader."""

    settings = fields.List(fields.Nested(SettingOut), required=True)
    rules = fields.List(
        fields.Nested(RuleOut), required=True, metadata={"description": "Of all places, the nearest first."}
    )
    unannounced_years = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "Years judged by weekday alone, though a rule asks for public holidays."},
    )

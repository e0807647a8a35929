"""Credit: scores, entries, rules, bans and appeals as they are told and set."""

from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from booking.api.schemas.bookings import PersonOut
from booking.api.schemas.fields import LONGEST_TEXT, Choice, In, Instant, Out, Text, Whole
from booking.api.schemas.series import Day
from booking.domain.credit import NAMES, Deed
from booking.services.credit import LONGEST_BAN, MOST_POINTS, Source
from models import Appeal

Name = StrEnum("Name", {name.value: name.value for name in NAMES})  # type: ignore[misc]


class EntryOut(Out):
    """Points that were given or taken."""

    id = fields.UUID(required=True)
    deed = fields.String(required=True, metadata={"enum": [deed.value for deed in Deed]})
    points = fields.Integer(required=True)
    at = Instant(required=True)
    booking_id = fields.UUID(required=True, allow_none=True)
    appeal = Choice(Appeal, required=True)
    appeal_text = fields.String(required=True)
    answer = fields.String(required=True)


class BanOut(Out):
    """Somebody may not book at a facility."""

    id = fields.UUID(required=True)
    reason = fields.String(required=True)
    start = Instant(required=True, attribute="starts_at")
    end = Instant(required=True, attribute="ends_at")


class StandingOut(Out):
    """How one stands at a facility."""

    facility_id = fields.String(required=True, attribute="facility.code")
    score = fields.Integer(required=True)
    ban = fields.Nested(BanOut, required=True, allow_none=True)
    entries = fields.List(fields.Nested(EntryOut), required=True)


class CreditOut(Out):
    """How one stands everywhere."""

    items = fields.List(fields.Nested(StandingOut), required=True)
    total = fields.Integer(required=True)


class AppealIn(In):
    """Why points were not deserved."""

    text = Text(longest=LONGEST_TEXT, lines=True, required=True)


class AppealOut(EntryOut):
    """An appeal that waits."""

    person = fields.Nested(PersonOut, required=True)


class AppealsOut(Out):
    """Appeals, the oldest first."""

    items = fields.List(fields.Nested(AppealOut), required=True)
    total = fields.Integer(required=True)


class AppealDecision(StrEnum):
    """What becomes of an appeal."""

    GRANT = "grant"
    DENY = "deny"


class AppealDecisionIn(In):
    """Whether the points come back; to keep them taken, say why."""

    decision = Choice(AppealDecision, required=True)
    answer = Text(longest=500, lines=True, load_default="")


class BanIn(In):
    """Who may not book until when, and why."""

    email = Text(
        longest=254, required=True, metadata={"description": "Of somebody who has booked here before."}
    )
    until = Instant(required=True, metadata={"example": "2026-12-01T00:00:00+08:00"})
    reason = Text(longest=500, lines=True, required=True)


class BanTakenOut(BanOut):
    """A ban with its person."""

    person = fields.Nested(PersonOut, required=True)


class BansOut(Out):
    """Bans in force, those that end soonest first."""

    items = fields.List(fields.Nested(BanTakenOut), required=True)
    total = fields.Integer(required=True)


class PointsOut(Out):
    """How many points a deed gives, or what stands around them."""

    deed = fields.String(required=True, metadata={"example": "late"})
    points = fields.Integer(required=True)
    ban_below = fields.Integer(required=True, allow_none=True)
    ban_days = fields.Integer(required=True, allow_none=True)
    place = Choice(
        Source, required=True, metadata={"description": "Whose: the facility's own, of all, or the default."}
    )


class PointsListOut(Out):
    """The rules in force today."""

    items = fields.List(fields.Nested(PointsOut), required=True)
    total = fields.Integer(required=True)


class PointsIn(In):
    """A rule from a day on."""

    deed = Choice(Name, required=True)
    points = Whole(least=-MOST_POINTS, most=MOST_POINTS, load_default=0)
    ban_below = Whole(least=1, most=MOST_POINTS, load_default=None, allow_none=True)
    ban_days = Whole(least=1, most=LONGEST_BAN.days, load_default=None, allow_none=True)
    valid_from = Day(required=True, metadata={"example": "2026-12-01"})

    @validates_schema
    def _whole(self, data: dict[str, Any], **_: Any) -> None:
        if (data.get("ban_below") is None) != (data.get("ban_days") is None):
            raise ValidationError({"ban_days": ["required"]})

"""Permits of instruments."""

from typing import Any

from marshmallow import fields, post_load

from booking.api.schemas.facilities import DisplacedOut
from booking.api.schemas.fields import Day, Flag, In, Out, Text
from booking.services.permits import LONGEST, LONGEST_REASON, Draft

_DRY_RUN: dict[str, Any] = {"description": "Only tell whom it leaves without a permit."}


class PermitIn(In):
    """A term of a permit; a renewal is another of the same name."""

    name = Text(longest=LONGEST["name"], required=True, metadata={"example": "压力容器定期检验"})
    number = Text(longest=LONGEST["number"], load_default="")
    valid_from = Day(required=True)
    valid_until = Day(required=True, metadata={"description": "The last day, in the facility's zone."})
    note = Text(longest=LONGEST["note"], load_default="")
    dry_run = Flag(load_default=False, metadata=_DRY_RUN)

    @post_load
    def _draft(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        dry_run = data.pop("dry_run")
        return {"draft": Draft(**data), "dry_run": dry_run}


class PermitEndIn(In):
    """Another last day."""

    last_day = Day(required=True)
    reason = Text(
        longest=LONGEST_REASON,
        load_default="",
        metadata={"description": "A later day needs one; it stands in the history."},
    )
    dry_run = Flag(load_default=False, metadata=_DRY_RUN)


class PermitStrikeIn(In):
    """Whether to strike a permit out, or only to try."""

    dry_run = Flag(in_query=True, load_default=False, metadata=_DRY_RUN)


class PermitOut(Out):
    """A term of a permit without which an instrument may not run."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    number = fields.String(required=True)
    valid_from = fields.Date(required=True)
    valid_until = fields.Date(required=True)
    note = fields.String(required=True)


class PermitStandingOut(PermitOut):
    """A term of a permit, and how long it lasts."""

    days_left = fields.Integer(
        required=True, metadata={"description": "0 on the last day; below 0 it is over."}
    )
    renewed = fields.Boolean(required=True, metadata={"description": "Another of its name lasts longer."})


class PermitsOut(Out):
    """The permits of an instrument by name, the longest first."""

    items = fields.List(fields.Nested(PermitStandingOut), required=True)
    total = fields.Integer(required=True)


class PermitChangedOut(DisplacedOut):
    """What was entered or ended, and who lacks a permit by now; null where it was only tried."""

    permit = fields.Nested(PermitOut, required=True, allow_none=True)


class PermitEndedOut(PermitChangedOut):
    """A permit with another last day, who lacks it by now, and who lacks it no more."""

    covered = fields.List(fields.UUID(), required=True)

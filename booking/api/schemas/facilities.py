"""Facilities, networks, and closures of facilities."""

from typing import Any

from marshmallow import fields, post_load, validate

from booking.api.schemas.availability import WindowIn
from booking.api.schemas.fields import Choice, Day, Flag, In, Instant, Length, Out, Text, span
from booking.api.schemas.instruments import NamedOut
from models import ClosureKind, OrganisationKind


class OperatorOut(NamedOut):
    """The organisation that operates a facility."""

    kind = Choice(OrganisationKind, required=True)


class FacilityOut(NamedOut):
    """A pilot platform."""

    organisation = fields.Nested(OperatorOut, required=True)
    networks = fields.List(fields.Nested(NamedOut), required=True)
    region_code = fields.String(required=True, metadata={"description": "GB/T 2260.", "example": "441900"})
    town = fields.String(required=True)
    address = fields.String(required=True)
    latitude = fields.Float(required=True, allow_none=True)
    longitude = fields.Float(required=True, allow_none=True)
    zone = fields.String(required=True, metadata={"example": "Asia/Shanghai"})
    contact = fields.String(required=True)
    about_zh = fields.String(required=True)
    about_en = fields.String(required=True)


class FacilitiesOut(Out):
    """All facilities by id."""

    items = fields.List(fields.Nested(FacilityOut), required=True)
    total = fields.Integer(required=True)


class NetworksOut(Out):
    """All networks by id."""

    items = fields.List(fields.Nested(NamedOut), required=True)
    total = fields.Integer(required=True)


class ClosureIn(In):
    """A time in which an instrument, or a whole facility, is not to be had."""

    instrument_id = Text(
        longest=40, allow_none=True, load_default=None, metadata={"description": "Null: the whole facility."}
    )
    start = Instant(required=True, metadata={"example": "2026-11-23T09:00:00+08:00"})
    end = Instant(required=True, metadata={"example": "2026-11-23T18:00:00+08:00"})
    kind = Choice(ClosureKind, load_default=ClosureKind.MAINTENANCE)
    reason = Text(longest=500, lines=True, load_default="")
    imposed = Flag(
        load_default=False,
        metadata={"description": "Close even if bookings are met; they are told and listed as displaced."},
    )

    @post_load
    def _spanned(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["span"] = span(data.pop("start"), data.pop("end"))
        return data


class ClosureOut(Out):
    """A closure."""

    id = fields.UUID(required=True)
    facility_id = fields.String(required=True)
    instrument_id = fields.String(required=True, allow_none=True)
    kind = Choice(ClosureKind, required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    reason = fields.String(required=True)
    imposed = fields.Boolean(required=True)
    created_at = Instant(required=True)


class ClosureMadeOut(ClosureOut):
    """A new closure and what it displaces."""

    displaced = fields.List(
        fields.UUID(), required=True, metadata={"description": "The ids of the bookings that it meets."}
    )


class HoursIn(In):
    """When a facility is open in the week."""

    hours = Text(
        longest=1000,
        lines=True,
        required=True,
        metadata={
            "description": "Several with semicolons.",
            "example": "Mon-Fri 08:30-17:30; Sat 09:00-12:00",
        },
    )
    since = Day(
        load_default=None,
        allow_none=True,
        metadata={"description": "The first day on which they count; until then all stays. Null: at once."},
    )
    dry_run = Flag(load_default=False, metadata={"description": "Only tell whom it displaces."})


class ServiceIn(In):
    """Whether an instrument is offered, and its own hours."""

    bookable = Flag(required=True, metadata={"description": "False withdraws it."})
    hours = Text(
        longest=1000, lines=True, load_default="", metadata={"description": "Empty: those of its facility."}
    )
    since = Day(
        load_default=None,
        allow_none=True,
        metadata={"description": "The first day on which they count; until then all stays. Null: at once."},
    )
    dry_run = Flag(load_default=False, metadata={"description": "Only tell whom it displaces."})


class DisplacedOut(Out):
    """Whom a change displaces, and where other places are looked for."""

    dry_run = fields.Boolean(required=True)
    displaced = fields.List(fields.UUID(), required=True)
    replan_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "Null where nothing needs another place."}
    )


class QuietTimesIn(WindowIn):
    """How long a maintenance takes, of what, and between when it may be."""

    instrument_id = Text(
        longest=2000,
        allow_none=True,
        load_default=None,
        metadata={
            "description": "None: the whole facility. Several with commas between: closed at the same time.",
            "example": "SEM-01,SEM-02",
        },
    )
    length = Length(required=True, metadata={"example": "PT4H"})
    in_hours = Flag(in_query=True, load_default=False, metadata={"description": "Only within opening hours."})

    @post_load
    def _several(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        codes = (data.pop("instrument_id") or "").split(",")
        data["instruments"] = list(dict.fromkeys(code.strip() for code in codes if code.strip()))
        return data


class QuietTimeOut(Out):
    """A time for a maintenance, whom it displaces, and what finding them other places disturbs."""

    start = Instant(required=True)
    end = Instant(required=True)
    cost = fields.Integer(required=True, metadata={"description": "Points of disturbance, at most."})
    moved = fields.Integer(required=True, metadata={"description": "So many find another place now."})
    without_place = fields.Integer(required=True)
    by_class = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "How many are displaced, by class of customer."},
    )
    displaced = fields.List(fields.UUID(), required=True)


class QuietTimesOut(Out):
    """Times for a maintenance, the least disturbing first."""

    items = fields.List(fields.Nested(QuietTimeOut), required=True)
    total = fields.Integer(required=True)


class QuietClosureIn(In):
    """A quiet time that was chosen: of which instruments, and how many bookings it was told to displace."""

    instrument_ids = fields.List(
        Text(longest=40, required=True),
        load_default=list,
        metadata={"description": "None: the whole facility."},
        validate=validate.Length(max=100),
    )
    start = Instant(required=True, metadata={"example": "2026-11-23T09:00:00+08:00"})
    end = Instant(required=True, metadata={"example": "2026-11-23T13:00:00+08:00"})
    kind = Choice(ClosureKind, load_default=ClosureKind.MAINTENANCE)
    reason = Text(longest=500, lines=True, load_default="")
    displaces = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=10_000),
        metadata={"description": "If it meets more by now, nothing is closed."},
    )

    @post_load
    def _spanned(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["span"] = span(data.pop("start"), data.pop("end"))
        return data


class QuietClosureOut(Out):
    """The closures that were made, one for each instrument, and where other places are looked for."""

    items = fields.List(fields.Nested(ClosureOut), required=True)
    total = fields.Integer(required=True)
    replan_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "Null where nothing needs another place."}
    )


class ClosuresOut(Out):
    """Closures, the earliest first."""

    items = fields.List(fields.Nested(ClosureOut), required=True)
    total = fields.Integer(required=True)

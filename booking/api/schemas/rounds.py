"""Rounds: the time of some days that a facility allots to all wishes at once."""

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from booking.api.schemas.approvals import Quantity
from booking.api.schemas.bookings import PersonOut
from booking.api.schemas.fields import Choice, Flag, In, Instant, Key, Length, Money, Out, Text, Whole, span
from booking.api.schemas.replans import RunOut
from booking.domain.rounds import LIMITS, USUAL, RoundAction, Weights
from booking.services.round_drafts import FIRST_SEED, USUAL_SECONDS
from booking.services.round_steps import MOST_STEPS
from booking.services.round_wishes import LONGEST_PURPOSE, LONGEST_REASON, MOST_INSTRUMENTS
from booking.services.rounds import LONGEST_NAME, LONGEST_NOTE, MOST_SHARES, ShareTerms, Terms
from booking.services.solver_runs import LONGEST, MOST_SEED
from models import OrganisationKind, PinKind, RoundState, WishState

MOST_MINUTES = 10_000_000
_CODES = {"required": "required", "null": "required", "invalid": "malformed"}


class ShareIn(In):
    """What is promised to one kind of organisation."""

    organisation_kind = Choice(OrganisationKind, required=True)
    category = Text(
        longest=12,
        allow_none=True,
        load_default=None,
        metadata={"description": "On instruments of this class; without it on all."},
    )
    region = Text(
        longest=6,
        allow_none=True,
        load_default=None,
        metadata={
            "description": "To those registered in this region only: a GB/T 2260 code, of a province, city or county.",
            "example": "450000",
        },
    )
    floor_minutes = Whole(
        least=0,
        most=MOST_MINUTES,
        allow_none=True,
        load_default=None,
        metadata={"description": "At least so much of this round."},
    )
    annual_minutes = Whole(
        least=0,
        most=MOST_MINUTES,
        allow_none=True,
        load_default=None,
        metadata={
            "description": "Or so much of the year, of which `rounds_left` rounds have the rest to give."
        },
    )
    rounds_left = Whole(least=1, most=1000, load_default=1)
    subsidy_percent = Whole(
        least=0, most=100, load_default=0, metadata={"description": "Of the price, from the round's budget."}
    )

    @post_load
    def _terms(self, data: dict[str, Any], **_: Any) -> ShareTerms:
        return ShareTerms(category_code=data.pop("category"), region_code=data.pop("region") or None, **data)


def _weight(name: str, description: str) -> Whole:
    least, most = LIMITS[name]
    return Whole(
        least=least, most=most, load_default=getattr(USUAL, name), metadata={"description": description}
    )


class WeightsIn(In):
    """What counts how much in the points of a plan."""

    floor_points = _weight("floor_points", "What each hour costs that a promise misses, rounded up to fours.")
    priority_factor = _weight("priority_factor", "Each priority counts so many times the one below.")
    late_percent = _weight("late_percent", "What waiting until the end of its window costs of a wish.")
    rank_percent = _weight(
        "rank_percent", "What each instrument liked more that it does not have costs of it."
    )
    fair_percent = _weight("fair_percent", "What whoever has used much lately keeps of it at least.")

    @post_load
    def _weights(self, data: dict[str, Any], **_: Any) -> Weights:
        return Weights(**data)


class RoundIn(In):
    """The terms of a round; the days are local to the facility, and both belong to it."""

    name = Text(longest=LONGEST_NAME, required=True)
    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")
    first_day = fields.Date(required=True, error_messages=_CODES)
    last_day = fields.Date(required=True, error_messages=_CODES)
    opens_at = Instant(required=True, metadata={"description": "From when wishes are taken."})
    closes_at = Instant(required=True, metadata={"description": "Until when wishes are taken."})
    cap_minutes = Whole(
        least=15,
        most=MOST_MINUTES,
        allow_none=True,
        load_default=None,
        metadata={"description": "No organisation gets more."},
    )
    budget = Quantity(allow_none=True, load_default=None, metadata={"description": "For subsidies, in yuan."})
    reserve_percent = Whole(
        least=0,
        most=50,
        load_default=3,
        metadata={"description": "So much of each week's open time stays free, at its end."},
    )
    weights = fields.Nested(
        WeightsIn,
        load_default=USUAL,
        metadata={"description": "Without them, the usual ones."},
        error_messages={"null": "required", "invalid": "malformed"},
    )
    shares = fields.List(
        fields.Nested(ShareIn),
        load_default=list,
        validate=validate.Length(max=MOST_SHARES, error="too_large"),
        error_messages={"null": "required", "invalid": "malformed"},
    )

    @post_load
    def _terms(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        facility, budget = data.pop("facility", None), data["budget"]
        if budget is not None and budget != round(budget, 2):
            raise ValidationError({"budget": ["malformed"]})
        return {"facility": facility, "terms": Terms(**data)}


class NewRoundIn(RoundIn):
    """A new round of a facility."""

    facility = Text(longest=40, required=True)


class RoundsIn(In):
    """Of which facility; without one of all."""

    facility = Text(longest=40, load_default="")


class ShareOut(Out):
    """What is promised to one kind of organisation."""

    organisation_kind = Choice(OrganisationKind, required=True)
    category = fields.String(required=True, allow_none=True, attribute="category_code")
    region = fields.String(required=True, allow_none=True, attribute="region_code")
    floor_minutes = fields.Integer(required=True, allow_none=True)
    annual_minutes = fields.Integer(required=True, allow_none=True)
    rounds_left = fields.Integer(required=True)
    subsidy_percent = fields.Integer(required=True)


class WeightsOut(Out):
    """What counts how much in the points of a plan."""

    floor_points = fields.Integer(required=True)
    priority_factor = fields.Integer(required=True)
    late_percent = fields.Integer(required=True)
    rank_percent = fields.Integer(required=True)
    fair_percent = fields.Integer(required=True)


class RoundOut(Out):
    """A round."""

    id = fields.UUID(required=True)
    facility = fields.String(required=True, attribute="facility.code")
    name = fields.String(required=True)
    note = fields.String(required=True)
    first_day = fields.Date(required=True)
    last_day = fields.Date(required=True)
    opens_at = Instant(required=True)
    closes_at = Instant(required=True)
    state = Choice(RoundState, required=True)
    cap_minutes = fields.Integer(required=True, allow_none=True)
    budget = Money(required=True, allow_none=True)
    reserve_percent = fields.Integer(required=True)
    weights = fields.Nested(WeightsOut, required=True, attribute="counts")
    shares = fields.List(fields.Nested(ShareOut), required=True)
    version = fields.Integer(required=True)


class RoundsOut(Out):
    """Rounds, those that take wishes first."""

    items = fields.List(fields.Nested(RoundOut), required=True)
    total = fields.Integer(required=True)


class ActionIn(In):
    """What shall happen to a round."""

    action = Choice(
        RoundAction,
        required=True,
        metadata={"description": "Not `publish` nor `confirm`, which have calls of their own."},
    )


class FollowingIn(In):
    """A further step of a process."""

    instruments = fields.List(
        Text(longest=40),
        required=True,
        validate=[
            validate.Length(min=1, error="required"),
            validate.Length(max=MOST_INSTRUMENTS, error="too_large"),
        ],
        error_messages={"null": "required", "required": "required", "invalid": "malformed"},
    )
    duration = Length(required=True, metadata={"format": "duration", "example": "PT6H"})
    lag_least = Length(
        none=True,
        load_default=timedelta(0),
        metadata={
            "format": "duration",
            "example": "PT30M",
            "description": "It starts at least so long after the end of the step before.",
        },
    )
    lag_most = Length(
        none=True,
        load_default=timedelta(days=1),
        metadata={"format": "duration", "example": "PT2H", "description": "And at most so long after it."},
    )

    @post_load
    def _understood(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        minutes = {}
        for name in ("duration", "lag_least", "lag_most"):
            seconds = data[name].total_seconds()
            if seconds % 60:
                raise ValidationError({name: ["out_of_range"]})
            minutes[name] = int(seconds // 60)
        lag = minutes["lag_least"], minutes["lag_most"]
        return {"instruments": data["instruments"], "minutes": minutes["duration"], "lag": lag}


class FollowingOut(Out):
    """A further step of a process."""

    instruments = fields.List(fields.String(), required=True)
    duration = fields.String(required=True, metadata={"format": "duration", "example": "PT360M"})
    lag_least = fields.String(required=True, metadata={"format": "duration", "example": "PT30M"})
    lag_most = fields.String(required=True, metadata={"format": "duration", "example": "PT120M"})


class RoundWishIn(In):
    """So long, on any of some instruments, those liked best first, within a window of the round."""

    instruments = fields.List(
        Text(longest=40),
        required=True,
        validate=[
            validate.Length(min=1, error="required"),
            validate.Length(max=MOST_INSTRUMENTS, error="too_large"),
        ],
        error_messages={"null": "required", "required": "required", "invalid": "malformed"},
    )
    duration = Length(required=True, metadata={"format": "duration", "example": "P3D"})
    start = Instant(
        allow_none=True,
        load_default=None,
        metadata={"description": "Without a window, all days of the round."},
    )
    end = Instant(allow_none=True, load_default=None)
    project_id = Key(allow_none=True, load_default=None)
    purpose = Text(longest=LONGEST_PURPOSE, lines=True, load_default="")
    may_move = Flag(
        load_default=False,
        metadata={"description": "After an outage it may be moved a little so that others find room."},
    )
    following = fields.List(
        fields.Nested(FollowingIn),
        load_default=list,
        validate=validate.Length(max=MOST_STEPS - 1, error="too_large"),
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": "Further steps of a process, served with the first or not at all."},
    )
    keep_waiting = Flag(
        load_default=True,
        metadata={"description": "If it is not served it goes on as a place on the waitlist."},
    )

    @post_load
    def _understood(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        seconds = data.pop("duration").total_seconds()
        if seconds % 60:
            raise ValidationError({"duration": ["out_of_range"]})
        data["minutes"] = int(seconds // 60)
        start, end = data.pop("start"), data.pop("end")
        if (start is None) != (end is None):
            raise ValidationError({"start" if start is None else "end": ["required"]})
        data["window"] = span(start, end) if start is not None else None
        return data


class StepPlaceOut(Out):
    """Where a step goes."""

    instrument_id = fields.String(required=True)
    start = Instant(required=True)
    end = Instant(required=True)


class AllottedOut(StepPlaceOut):
    """Where the published draft puts a wish: its first step, and those that follow."""

    following = fields.List(fields.Nested(StepPlaceOut), required=True)


class PinnedStepOut(Out):
    """Where a further step shall go."""

    instrument_id = fields.String(required=True, allow_none=True)
    start = Instant(required=True)


class WhyOut(Out):
    """One reason: its code, its figures, and the sentence in the reader's language."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class PinOut(Out):
    """What the manager has settled about a wish."""

    kind = Choice(PinKind, required=True)
    instrument_id = fields.String(required=True, allow_none=True)
    start = Instant(required=True, allow_none=True)
    following = fields.List(fields.Nested(PinnedStepOut), required=True)
    reason = fields.String(required=True)


class RoundWishOut(Out):
    """A wish, with what became of it."""

    id = fields.UUID(required=True)
    round_id = fields.UUID(required=True)
    person = fields.Nested(PersonOut, required=True)
    instruments = fields.List(fields.String(), required=True)
    following = fields.List(
        fields.Nested(FollowingOut), required=True, metadata={"description": "Further steps of a process."}
    )
    start = Instant(required=True)
    end = Instant(required=True)
    duration = fields.String(required=True, metadata={"format": "duration", "example": "PT360M"})
    priority = fields.Integer(required=True)
    may_move = fields.Boolean(required=True)
    keep_waiting = fields.Boolean(required=True)
    purpose = fields.String(required=True)
    project_id = fields.UUID(required=True, allow_none=True)
    state = Choice(WishState, required=True)
    place = fields.Nested(AllottedOut, required=True, allow_none=True)
    reasons = fields.List(fields.Nested(WhyOut), required=True)
    pin = fields.Nested(PinOut, required=True, allow_none=True)
    booking_id = fields.UUID(required=True, allow_none=True)
    submitted_at = Instant(required=True)


class RoundWishesOut(Out):
    """Wishes, the first submitted first."""

    items = fields.List(fields.Nested(RoundWishOut), required=True)
    total = fields.Integer(required=True)


class WishPriorityIn(In):
    """Another priority."""

    priority = Whole(
        least=1, most=4, required=True, metadata={"description": "4 is the highest; 2 is usual."}
    )
    reason = Text(longest=LONGEST_REASON, lines=True, required=True)


class PinnedStepIn(In):
    """Where a further step of a process goes."""

    instrument_id = Text(longest=40, required=True)
    start = Instant(required=True)


class PinIn(In):
    """Where a wish goes; without a place it is left out."""

    instrument_id = Text(longest=40, allow_none=True, load_default=None)
    start = Instant(allow_none=True, load_default=None)
    following = fields.List(
        fields.Nested(PinnedStepIn),
        load_default=list,
        validate=validate.Length(max=MOST_STEPS - 1, error="too_large"),
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={"description": "Of a process, where each further step goes."},
    )
    reason = Text(longest=LONGEST_REASON, lines=True, required=True)


class RunIn(In):
    """How long the solver may take, and its seed."""

    seconds = Whole(least=1, most=LONGEST, load_default=USUAL_SECONDS)
    seed = Whole(least=0, most=MOST_SEED, load_default=FIRST_SEED)


class RunPlaceOut(StepPlaceOut):
    """Where a run puts a step of a wish."""

    wish_id = fields.UUID(required=True)
    step = fields.Integer(required=True, metadata={"description": "Counted from 0."})


class RoundRunOut(RunOut):
    """A run of a round: besides its progress, what it found."""

    served = fields.Integer(required=True, allow_none=True)
    places = fields.List(fields.Nested(RunPlaceOut), required=True)


class RoundRunsOut(Out):
    """Runs, the newest first."""

    items = fields.List(fields.Nested(RoundRunOut), required=True)
    total = fields.Integer(required=True)


class DraftIn(In):
    """The run that becomes the draft."""

    run_id = Key(required=True)


class OutcomeOut(Out):
    """What confirming has made."""

    bookings = fields.List(fields.UUID(), required=True)
    unserved = fields.Integer(required=True)

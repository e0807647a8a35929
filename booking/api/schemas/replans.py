"""Replans: repairs of what a closure displaces, and what is proposed to whom."""

from marshmallow import fields

from booking.api.schemas.bookings import PersonOut
from booking.api.schemas.fields import Choice, In, Instant, Out, Text, Whole
from booking.domain.replanning import Answer
from models import Cause, IfSilent, ProposalKind, ProposalState, ReplanState, RunState


class RunOut(Out):
    """A run of the solver: how far it is, the best found so far, and the bound that no plan can beat."""

    id = fields.UUID(required=True)
    state = Choice(RunState, required=True)
    phase = fields.String(required=True)
    share = fields.Integer(required=True, metadata={"description": "Of its time, in per cent."})
    objective = fields.Integer(required=True, allow_none=True)
    bound = fields.Integer(required=True, allow_none=True)
    seconds = fields.Integer(required=True, metadata={"description": "The time that it was given."})
    seed = fields.Integer(required=True)
    fingerprint = fields.String(
        required=True, metadata={"description": "SHA-256 of the input: the same input gives the same plan."}
    )
    asked_at = Instant(required=True)
    ended_at = Instant(required=True, allow_none=True)
    error = fields.String(required=True)


class ReplanItemOut(Out):
    """One item that a booking has, or would have."""

    instrument_id = fields.String(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    quantity = fields.Integer(required=True)


class ChangeOut(Out):
    """What a repair asks of one booking."""

    booking_id = fields.UUID(required=True)
    person = fields.Nested(PersonOut, required=True)
    hit = fields.Boolean(
        required=True, metadata={"description": "False for a neighbour whose owner agreed to make room."}
    )
    before = Instant(required=True, metadata={"description": "When it starts as it stands."})
    instrument_id = fields.String(
        required=True, allow_none=True, metadata={"description": "Null where no place was found."}
    )
    start = Instant(required=True, allow_none=True)
    items = fields.List(
        fields.Nested(ReplanItemOut),
        required=True,
        metadata={"description": "All that it would have; more than before where it is divided into parts."},
    )
    late = fields.Boolean(
        required=True, metadata={"description": "After the day by which it is needed: as heavy as no place."}
    )
    cost = fields.Integer(required=True, metadata={"description": "Points of disturbance."})


class RepairOut(Out):
    """One of the repairs that were found, the least disturbing first."""

    number = fields.Integer(required=True)
    kind = fields.String(required=True)
    cost = fields.Integer(required=True)
    moved = fields.Integer(required=True)
    without_place = fields.Integer(required=True)
    neighbours = fields.Integer(required=True)
    changes = fields.List(fields.Nested(ChangeOut), required=True)


class ProposalOut(Out):
    """What is proposed to the owner of one booking."""

    id = fields.UUID(required=True)
    booking_id = fields.UUID(required=True)
    person = fields.Nested(PersonOut, required=True)
    kind = Choice(ProposalKind, required=True)
    by_agreement = fields.Boolean(
        required=True, metadata={"description": "Moved at once, since its owner agreed to that beforehand."}
    )
    instrument_id = fields.String(required=True, allow_none=True)
    start = Instant(required=True, allow_none=True)
    end = Instant(required=True, allow_none=True)
    items = fields.List(fields.Nested(ReplanItemOut), required=True)
    before = fields.List(
        fields.Nested(ReplanItemOut), required=True, metadata={"description": "What it had when asked about."}
    )
    state = Choice(ProposalState, required=True)
    deadline = Instant(required=True, allow_none=True)
    if_silent = Choice(
        IfSilent, required=True, metadata={"description": "What the owner agreed to if they do not answer."}
    )


class ProposalsOut(Out):
    """What waits for one's answer, the most urgent first."""

    items = fields.List(fields.Nested(ProposalOut), required=True)
    total = fields.Integer(required=True)


class ReplanOut(Out):
    """The repair of what one cause displaces."""

    id = fields.UUID(required=True)
    cause = Choice(Cause, required=True)
    closure_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "Null where no closure displaces them."}
    )
    state = Choice(ReplanState, required=True)
    chosen = fields.Integer(required=True, allow_none=True)
    version = fields.Integer(required=True)
    run = fields.Nested(RunOut, required=True, allow_none=True)
    repairs = fields.List(fields.Nested(RepairOut), required=True)
    proposals = fields.List(fields.Nested(ProposalOut), required=True)


class ReplansIn(In):
    """Of which facility."""

    facility = Text(longest=40, required=True)


class ReplansOut(Out):
    """Replans, the newest first."""

    items = fields.List(fields.Nested(ReplanOut), required=True)
    total = fields.Integer(required=True)


class ChosenIn(In):
    """The repair that people are asked about."""

    repair = Whole(least=0, most=9, required=True)


class ProposalAnswerIn(In):
    """What one says to a proposal."""

    answer = Choice(Answer, required=True)

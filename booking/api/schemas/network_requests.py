"""Requests by which facilities join networks."""

import enum

from marshmallow import fields

from booking.api.schemas.fields import Choice, In, Instant, Out, Text
from booking.services.network_requests import LONGEST_NOTE
from models import JoinState


class Verdict(enum.StrEnum):
    """Let the facility join, or do not."""

    ACCEPT = "accept"
    REFUSE = "refuse"


class NetworkRequestIn(In):
    """Which facility shall join which network, and a word to the other side."""

    network_id = Text(longest=40, required=True)
    facility_id = Text(longest=40, required=True)
    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")


class NetworkAnswerIn(In):
    """The answer; who refuses says why."""

    answer = Choice(Verdict, required=True)
    reason = Text(longest=LONGEST_NOTE, lines=True, load_default="")


class NetworkRequestOut(Out):
    """A request of one side to the other."""

    id = fields.UUID(required=True, attribute="request.id")
    network_id = fields.String(required=True, attribute="network.code")
    facility_id = fields.String(required=True, attribute="facility.code")
    by_facility = fields.Boolean(
        required=True,
        attribute="request.by_facility",
        metadata={"description": "The facility asks; else the network does."},
    )
    asked_by = fields.String(required=True, attribute="person")
    note = fields.String(required=True, attribute="request.note")
    state = Choice(JoinState, required=True, attribute="request.state")
    reason = fields.String(required=True, attribute="request.reason")
    yours_to_answer = fields.Boolean(required=True, attribute="mine_to_answer")
    asked_at = Instant(required=True, attribute="request.asked_at")
    answered_at = Instant(required=True, allow_none=True, attribute="request.answered_at")


class NetworkRequestsOut(Out):
    """What waits for an answer, one's own to give first."""

    items = fields.List(fields.Nested(NetworkRequestOut), required=True)
    total = fields.Integer(required=True)

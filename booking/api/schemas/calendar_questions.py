"""What calendars answered to invitations."""

import enum

from marshmallow import fields

from booking.api.schemas.fields import Choice, In, Instant, Out
from models import QuestionKind, QuestionState


class Word(enum.StrEnum):
    """Do as the calendar said, or leave the booking as it is."""

    ACCEPT = "accept"
    KEEP = "keep"


class QuestionAnswerIn(In):
    """One's own word."""

    answer = Choice(Word, required=True)


class QuestionOut(Out):
    """What a calendar said of a booking: that it is declined, or would better be at another time."""

    id = fields.UUID(required=True)
    booking_id = fields.UUID(required=True)
    kind = Choice(QuestionKind, required=True)
    state = Choice(QuestionState, required=True, metadata={"description": "`left`: the booking was kept."})
    start = Instant(
        required=True,
        allow_none=True,
        attribute="starts_at",
        metadata={"description": "The time it proposes."},
    )
    end = Instant(required=True, allow_none=True, attribute="ends_at")
    comment = fields.String(required=True)
    created_at = Instant(required=True)
    answered_at = Instant(required=True, allow_none=True)


class QuestionsOut(Out):
    """What waits for one's word, the booking that begins first coming first."""

    items = fields.List(fields.Nested(QuestionOut), required=True)
    total = fields.Integer(required=True)

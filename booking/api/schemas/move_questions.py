"""Questions of facilities whether a booking may be moved."""

from typing import Any

from marshmallow import fields, post_load

from booking.api.schemas.fields import Choice, In, Instant, Out, Text, span
from booking.services.calendar_replies import LONGEST_COMMENT
from models import QuestionState


class MoveQuestionIn(In):
    """The other time, and until when it is held for an answer."""

    start = Instant(required=True, metadata={"example": "2026-11-23T09:00:00+08:00"})
    end = Instant(required=True, metadata={"example": "2026-11-23T11:00:00+08:00"})
    comment = Text(longest=LONGEST_COMMENT, lines=True, load_default="")
    answer_by = Instant(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Two working days from now if nothing is said. Never more than two weeks from now, nor "
            "later than the start of either time."
        },
    )

    @post_load
    def _spanned(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {"span": span(data.pop("start"), data.pop("end")), **data}


class MoveQuestionOut(Out):
    """What a facility asked about a booking."""

    id = fields.UUID(required=True)
    booking_id = fields.UUID(required=True)
    state = Choice(
        QuestionState,
        required=True,
        metadata={
            "description": "`done`: it was moved. `left`: the owner keeps the time. `lapsed`: nobody answered in time. "
            "`over`: the booking was changed meanwhile, or another question took its place."
        },
    )
    start = Instant(required=True, attribute="starts_at")
    end = Instant(required=True, attribute="ends_at")
    comment = fields.String(required=True)
    answer_by = Instant(required=True, allow_none=True)
    created_at = Instant(required=True)
    answered_at = Instant(required=True, allow_none=True)


class MoveQuestionsOut(Out):
    """What a facility asked about a booking, the last first."""

    items = fields.List(fields.Nested(MoveQuestionOut), required=True)
    total = fields.Integer(required=True)

"""What one's calendar made us ask: it declined a booking, or proposed another time for it."""

from typing import Any
from uuid import UUID

from booking.api.base import Blueprint, problems
from booking.api.schemas.calendar_questions import QuestionAnswerIn, QuestionOut, QuestionsOut, Word
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import calendar_replies
from models import CalendarQuestion

blp = Blueprint(
    "api-calendar-questions",
    __name__,
    description="What calendars answered to invitations, for one's own word.",
)


@blp.get("/calendar-questions")
@needs("invitation.answer")
@blp.response(200, QuestionsOut)
def mine() -> dict[str, Any]:
    """List what your calendar said that waits for your word"""
    with reading() as session:
        found = calendar_replies.mine(session, actor=actor(), now=utc_now())
    return {"items": found, "total": len(found)}


@blp.get("/calendar-questions/<uuid:question_id>")
@needs("invitation.answer")
@blp.response(200, QuestionOut)
@problems(404)
def question(question_id: UUID) -> CalendarQuestion:
    """Read what your calendar said of a booking"""
    with reading() as session:
        return calendar_replies.get(session, actor=actor(), question_id=question_id)


@blp.post("/calendar-questions/<uuid:question_id>/answer")
@needs("invitation.answer")
@blp.arguments(QuestionAnswerIn)
@blp.response(200, QuestionOut)
@problems(404, 409)
def answer(wanted: dict[str, Any], question_id: UUID) -> CalendarQuestion:
    """Answer what your calendar said

    `accept` does as it said: cancels the booking that it declined, or moves it to the time that it proposed, by the
    same rules as any change. `keep` leaves the booking as it is. Answered the same again it changes nothing.
    """
    with transaction() as session:
        return calendar_replies.answer(
            session,
            actor=actor(),
            question_id=question_id,
            agrees=wanted["answer"] is Word.ACCEPT,
            now=utc_now(),
        )

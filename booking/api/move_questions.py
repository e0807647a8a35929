"""A facility asks the owner of a booking whether it may be moved."""

from typing import Any
from uuid import UUID

from flask import url_for

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.calendar_questions import QuestionAnswerIn, Word
from booking.api.schemas.move_questions import MoveQuestionIn, MoveQuestionOut, MoveQuestionsOut
from booking.db import reading, transaction
from booking.http.context import settings
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import calendar_replies, move_questions
from models import CalendarQuestion

blp = Blueprint(
    "api-move-questions",
    __name__,
    description="What facilities ask owners of bookings before they move them.",
)


@blp.get("/bookings/<uuid:booking_id>/move-questions")
@needs("booking.see")
@blp.response(200, MoveQuestionsOut)
@problems(404)
def of_booking(booking_id: UUID) -> dict[str, Any]:
    """List what a facility asked about a booking"""
    with reading() as session:
        found = move_questions.of_booking(session, actor=actor(), booking_id=booking_id)
    return {"items": found, "total": len(found)}


@blp.post("/bookings/<uuid:booking_id>/move-questions")
@needs("booking.approve")
@blp.arguments(MoveQuestionIn)
@blp.response(201, MoveQuestionOut)
@problems(404, 409)
def ask(wanted: dict[str, Any], booking_id: UUID) -> tuple[CalendarQuestion, dict[str, str]]:
    """Ask whether a booking may be moved

    For managers of its facility, of a booking of somebody else. It stays where it is until its owner says yes; the
    other time is held for them meanwhile, and silence moves nothing. What was asked before is asked no more.
    """
    with transaction() as session:
        made = move_questions.ask(
            session,
            actor=actor(),
            booking_id=booking_id,
            key=settings().key(),
            **wanted,
            now=utc_now(),
        )
    return made, {"Location": url_for("api-move-questions.one", question_id=made.id)}


@blp.get("/move-questions/<uuid:question_id>")
@needs("booking.see")
@blp.response(200, MoveQuestionOut)
@problems(404)
def one(question_id: UUID) -> CalendarQuestion:
    """Read what a facility asked about a booking"""
    with reading() as session:
        return move_questions.get(session, actor=actor(), question_id=question_id)


@blp.post("/move-questions/<uuid:question_id>/answer")
@needs("invitation.answer")
@blp.arguments(QuestionAnswerIn)
@blp.response(200, MoveQuestionOut)
@problems(404, 409)
def answer(wanted: dict[str, Any], question_id: UUID) -> CalendarQuestion:
    """Answer whether your booking may be moved

    `accept` moves it, by the same rules as any change; `keep` leaves it as it is. Answered the same again it changes
    nothing.
    """
    agrees = wanted["answer"] is Word.ACCEPT
    with transaction() as session:
        move_questions.get(session, actor=actor(), question_id=question_id)
        return calendar_replies.answer(
            session, actor=actor(), question_id=question_id, agrees=agrees, now=utc_now()
        )


@blp.post("/move-questions/<uuid:question_id>/withdrawal")
@needs("booking.approve")
@blp.arguments(NothingIn, required=False)
@blp.response(200, MoveQuestionOut)
@problems(404, 409)
def withdraw(_nothing: dict[str, Any], question_id: UUID) -> CalendarQuestion:
    """Ask no more

    The booking stays as it is, and the other time is free again.
    """
    with transaction() as session:
        return move_questions.withdraw(session, actor=actor(), question_id=question_id, now=utc_now())

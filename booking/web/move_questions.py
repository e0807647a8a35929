"""What a facility asks the owner of a booking before it moves it; it is asked by the form that changes the booking."""

from uuid import UUID

from flask import flash, redirect, url_for

from booking.db import reading, transaction
from booking.domain.rules import Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import move_questions
from booking.web import blueprint
from booking.web.bookings import Answer, booking_page


@blueprint.post("/move-questions/<uuid:question_id>/withdrawal", endpoint="withdraw_move_question")
@needs("booking.approve")
def withdraw(question_id: UUID) -> Answer:
    """Ask no more whether a booking may be moved."""
    fields()
    with reading() as session:
        booking_id = move_questions.get(session, actor=actor(), question_id=question_id).booking_id
    try:
        with transaction() as session:
            move_questions.withdraw(session, actor=actor(), question_id=question_id, now=utc_now())
    except Refused as refusal:
        return booking_page(booking_id, status=409, problem=refusal.reasons)
    flash(_("Asked no more: the booking stays as it is, and the other time is free again."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)

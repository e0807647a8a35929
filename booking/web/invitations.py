"""What calendars answer to invitations, and the addresses by which calendars invite instruments."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking.db import reading, transaction
from booking.domain.access import Actor, NotFound
from booking.domain.invitations import instrument_address
from booking.domain.lifecycle import WrongMove
from booking.domain.rules import Invalid, Reason, Refused
from booking.http.context import settings
from booking.http.forms import fields
from booking.http.guard import needs, open_to_all
from booking.http.identity import actor, utc_now
from booking.http.locale import speak_as_the_letter
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.services import calendar_replies, meetings
from booking.web import blueprint
from booking.web.judgement import sentences
from models import CalendarQuestion, QuestionKind, QuestionState

Answer = str | Redirect | tuple[str, int]


# --- what somebody's calendar made us ask ---------------------------------------------------------


@blueprint.get("/calendar-questions/<uuid:question_id>", endpoint="calendar_question")
@needs("invitation.answer")
def show_question(question_id: UUID) -> Answer:
    """Show what my calendar said of a booking, and what I may do about it."""
    return _own_page(question_id)


@blueprint.post("/calendar-questions/<uuid:question_id>")
@needs("invitation.answer")
def answer_calendar_question(question_id: UUID) -> Answer:
    """Do as my calendar said, or leave the booking as it is."""
    agrees = _agrees()
    try:
        found = _answer(actor(), question_id, utc_now(), agrees=agrees)
    except (Refused, WrongMove) as refusal:
        return _own_page(question_id, problem=_reasons(refusal), status=409)
    flash(_done(found), "success")
    return redirect(url_for("web.booking", booking_id=found.booking_id), 303)


@blueprint.get("/calendar-questions/<uuid:link_id>/<secret>", endpoint="calendar_question_by_link")
@open_to_all
def show_question_by_link(link_id: UUID, secret: str) -> Answer:
    """Show what a mailed link asks; looking at it answers nothing."""
    try:
        return _linked_page(link_id, secret)
    except NotFound:
        return _link_is_over()


@blueprint.post("/calendar-questions/<uuid:link_id>/<secret>")
@open_to_all
def answer_calendar_question_by_link(link_id: UUID, secret: str) -> Answer:
    """Answer by the link of the letter; no signing in is needed."""
    agrees, now = _agrees(), utc_now()
    try:
        with reading() as session:
            person, question_id = calendar_replies.linked(session, link_id=link_id, secret=secret, now=now)
        speak_as_the_letter(person.locale)
        found = _answer(person, question_id, now, agrees=agrees)
        return _linked_page(link_id, secret, done=_done(found))
    except (Refused, WrongMove) as refusal:
        return _linked_page(link_id, secret, problem=_reasons(refusal), status=409)
    except NotFound:
        return _link_is_over()


def _agrees() -> bool:
    said = fields("answer")["answer"]
    if said not in {"yes", "no"}:
        raise Invalid({"answer": "unknown"})
    return said == "yes"


def _answer(who: Actor, question_id: UUID, now: datetime, *, agrees: bool) -> CalendarQuestion:
    with transaction() as session:
        return calendar_replies.answer(session, actor=who, question_id=question_id, agrees=agrees, now=now)


def _reasons(refusal: Refused | WrongMove) -> Sequence[Reason]:
    return refusal.reasons if isinstance(refusal, Refused) else [Reason("question_over")]


def _done(found: CalendarQuestion) -> str:
    if found.state is not QuestionState.DONE:
        return _("The booking stays as it is.")
    return (
        _("The booking is cancelled.") if found.kind is QuestionKind.DECLINED else _("The booking was moved.")
    )


def _own_page(question_id: UUID, *, problem: Sequence[Reason] = (), status: int = 200) -> Answer:
    with reading() as session:
        found = calendar_replies.get(session, actor=actor(), question_id=question_id)
    address = url_for("web.calendar_question", question_id=question_id)
    return _page(found, address, problem=problem, status=status)


def _linked_page(
    link_id: UUID, secret: str, *, done: str = "", problem: Sequence[Reason] = (), status: int = 200
) -> Answer:
    with reading() as session:
        person, question_id = calendar_replies.linked(session, link_id=link_id, secret=secret, now=utc_now())
        found = calendar_replies.get(session, actor=person, question_id=question_id)
    speak_as_the_letter(person.locale)
    return _page(found, request.path, done=done, problem=problem, status=status)


def _page(
    found: CalendarQuestion,
    address: str,
    *,
    done: str = "",
    problem: Sequence[Reason] = (),
    status: int = 200,
) -> Answer:
    zone = found.booking.items[0].instrument.facility.zone
    now = utc_now()
    changed = found.booking.sequence != found.booking_sequence
    late = calendar_replies.is_late(found, now)
    page = render_template(
        "invitations/question.html",
        question=found,
        booking=found.booking,
        zone=zone,
        address=address,
        open=found.state is QuestionState.OPEN and not changed and not late and found.booking.ends_at > now,
        ended=_ended(found.state, late=late),
        moves=found.kind is QuestionKind.COUNTERED,
        done=done,
        problem=sentences(problem, zone),
    )
    return page, status


def _ended(state: QuestionState, *, late: bool) -> str:
    """Say why there is nothing to answer any more."""
    if state is QuestionState.WITHDRAWN:
        return _("The facility no longer asks. The booking stays as it is.")
    if state is QuestionState.LAPSED or (state is QuestionState.OPEN and late):
        return _("The time to answer is over. The booking stays as it is.")
    return _("This has been answered, or the booking was changed since.")


def _link_is_over() -> Answer:
    return render_template("invitations/link_is_over.html"), 404


# --- inviting an instrument -----------------------------------------------------------------------


@blueprint.app_template_global("invited_at")
def invited_at(code: str) -> str:
    """Give the address by which the reader invites an instrument from their calendar, empty where there is none.

    Where the mail server vouches for nobody it holds the reader's own secret; visitors are shown none.
    """
    known, who = settings(), actor()
    if not known.mail_domain or who.person_id is None:
        return ""
    if known.mail_trusted:
        return instrument_address(code, known.mail_domain)
    with reading() as session:
        secret = meetings.tag(session, key=known.key(), person_id=who.person_id)
    return instrument_address(code, known.mail_domain, secret)


@blueprint.post("/account/mail-secret")
@needs("account.keep")
def renew_mail_secret() -> Redirect:
    """Make the secret in my addresses of instruments useless; I have another from now on."""
    fields()
    with transaction() as session:
        meetings.renew_tag(session, actor=actor(), now=utc_now())
    security("mail_secret_renewed", person=str(actor().person_id))
    flash(_("Your addresses of instruments are new. Put them into your calendar's address book."), "success")
    return redirect(url_for("web.notice_wishes"), 303)

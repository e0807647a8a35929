"""A manager asks the owner whether a booking may be moved; only their yes moves it, on both engines."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from booking.domain.access import Forbidden, NotFound
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, calendar_replies, invariants, move_questions
from models import Event, OneTimeLink, Purpose, QuestionState
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def span(hours: float) -> Span:
    return Span(NOW + hours * HOUR, NOW + (hours + 2) * HOUR)


@pytest.fixture
def lab(session):
    facility = make_facility(session)
    sem = make_instrument(session, facility, shortest_minutes=None)
    ben = cast.actor_of(session, cast.ben(session))
    booking = bookings.place(session, actor=ben, items=[Item(sem.id, span(24))], now=NOW)
    return SimpleNamespace(
        sem=sem,
        ben=ben,
        booking=booking,
        ada=cast.actor_of(session, cast.ada(session)),
        cleo=cast.actor_of(session, cast.cleo(session)),
        tam=cast.actor_of(session, cast.tam(session, facility)),
    )


def ask(session, actor, lab, when, comment=""):
    return move_questions.ask(
        session, actor=actor, booking_id=lab.booking.id, span=when, comment=comment, key="key", now=NOW
    )


def answer(session, actor, question, *, agrees):
    return calendar_replies.answer(session, actor=actor, question_id=question.id, agrees=agrees, now=NOW)


def told(session, kind):
    return [row.data for row in session.scalars(select(Event).where(Event.kind == kind))]


def test_only_the_owners_yes_moves_it(session, lab):
    question = ask(session, lab.tam, lab, span(30), comment="The pump is changed")
    assert (lab.booking.starts_at, question.asked_by) == (span(24).start, lab.tam.person_id)
    assert told(session, "booking.move_asked")[0]["person_id"] == str(lab.ben.person_id)
    link = session.scalars(select(OneTimeLink).where(OneTimeLink.subject == str(question.id))).one()
    assert (link.purpose, link.person_id) == (Purpose.ANSWER_CALENDAR, lab.ben.person_id)
    with pytest.raises(NotFound):
        answer(session, lab.tam, question, agrees=True)
    answer(session, lab.ben, question, agrees=True)
    assert (lab.booking.starts_at, lab.booking.ends_at) == (span(30).start, span(30).end)
    (said,) = told(session, "booking.move_answered")
    assert (said["person_id"], said["accepted"]) == (str(lab.tam.person_id), True)
    assert [found for found in invariants.check(session, now=NOW) if found.faults] == []


def test_a_no_leaves_it_and_the_same_question_takes_the_place_of_the_one_before(session, lab):
    first = ask(session, lab.tam, lab, span(30))
    second = ask(session, lab.tam, lab, span(40))
    session.refresh(first)
    assert first.state is QuestionState.OVER
    answer(session, lab.ben, second, agrees=False)
    assert lab.booking.starts_at == span(24).start
    assert told(session, "booking.move_answered")[0]["accepted"] is False


def test_what_the_owner_could_not_have_is_not_asked(session, lab):
    bookings.place(session, actor=lab.cleo, items=[Item(lab.sem.id, span(30))], now=NOW)
    with pytest.raises(Refused) as refused:
        ask(session, lab.tam, lab, span(31))
    assert "taken" in {reason.code for reason in refused.value.reasons}
    with pytest.raises(Invalid, match="duplicate"):
        ask(session, lab.tam, lab, span(24))


def test_only_managers_ask_and_of_others_alone(session, lab):
    for actor, error in ((lab.ben, Forbidden), (lab.ada, Forbidden), (lab.cleo, NotFound)):
        with pytest.raises(error):
            ask(session, actor, lab, span(30))
    own = bookings.place(session, actor=lab.tam, items=[Item(lab.sem.id, span(50))], now=NOW)
    assert not move_questions.may_ask(lab.tam, own)
    assert move_questions.may_ask(lab.tam, lab.booking)

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
from models import Event, Occupation, OneTimeLink, Purpose, QuestionState
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


def ask(session, actor, lab, when, **more):
    return move_questions.ask(
        session, actor=actor, booking_id=lab.booking.id, span=when, key="key", now=NOW, **more
    )


def held(session):
    rows = session.scalars(select(Occupation).where(Occupation.hold_id.is_not(None)))
    return [(row.starts_at, row.ends_at, row.expires_at) for row in rows]


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


def test_the_other_time_is_held_for_the_owner_and_for_nobody_else_until_they_answer(session, lab):
    question = ask(session, lab.tam, lab, span(25), days=1)
    # Only what the booking does not have already; the start of the earlier time comes before the working day is over.
    assert held(session) == [(span(24).end, span(25).end, span(24).start)]
    assert question.answer_by == span(24).start
    with pytest.raises(Refused) as refused:
        bookings.place(session, actor=lab.ada, items=[Item(lab.sem.id, span(26))], now=NOW)
    assert [reason.code for reason in refused.value.reasons] == ["taken"]
    answer(session, lab.ben, question, agrees=True)
    assert (lab.booking.starts_at, held(session)) == (span(25).start, [])
    assert question.hold_id is None
    assert [found for found in invariants.check(session, now=NOW) if found.faults] == []


def test_every_end_gives_the_other_time_back(session, lab):
    question = ask(session, lab.tam, lab, span(30))
    answer(session, lab.ben, question, agrees=False)
    assert held(session) == []
    first = ask(session, lab.tam, lab, span(30))
    second = ask(session, lab.tam, lab, span(31))  # what is held for the first does not stand in its way
    assert [start for start, _end, _until in held(session)] == [span(31).start]
    with pytest.raises(NotFound):
        move_questions.withdraw(session, actor=lab.cleo, question_id=second.id, now=NOW)
    with pytest.raises(Forbidden):
        move_questions.withdraw(session, actor=lab.ben, question_id=second.id, now=NOW)
    move_questions.withdraw(session, actor=lab.tam, question_id=second.id, now=NOW)
    assert (first.state, second.state, held(session)) == (
        QuestionState.OVER,
        QuestionState.WITHDRAWN,
        [],
    )
    assert told(session, "booking.move_unasked")[0]["person_id"] == str(lab.ben.person_id)
    for deed in (
        lambda: move_questions.withdraw(session, actor=lab.tam, question_id=second.id, now=NOW),
        lambda: answer(session, lab.ben, second, agrees=True),
    ):
        with pytest.raises(Refused) as refused:
            deed()
        assert [reason.code for reason in refused.value.reasons] == ["question_over"]


def test_silence_moves_nothing_and_the_asker_hears_of_it(session, lab):
    later = bookings.place(session, actor=lab.ben, items=[Item(lab.sem.id, span(200))], now=NOW)
    question = move_questions.ask(
        session, actor=lab.tam, booking_id=later.id, span=span(210), key="key", now=NOW
    )
    due = NOW + timedelta(days=2)  # a Monday: two working days later is Wednesday
    assert (question.answer_by, move_questions.over(session, now=due - HOUR)) == (due, [])
    assert not move_questions.end(session, question_id=question.id, now=due - HOUR)
    assert move_questions.over(session, now=due) == [question.id]
    with pytest.raises(Refused):
        calendar_replies.answer(session, actor=lab.ben, question_id=question.id, agrees=True, now=due)
    assert calendar_replies.mine(session, actor=lab.ben, now=due) == []
    assert move_questions.end(session, question_id=question.id, now=due)
    assert not move_questions.end(session, question_id=question.id, now=due)
    assert (question.state, held(session)) == (QuestionState.LAPSED, [])
    assert later.starts_at == span(200).start
    assert [data["person_id"] for data in told(session, "booking.move_unanswered")] == [
        str(lab.tam.person_id)
    ]


def test_a_booking_that_changes_meanwhile_ends_the_question_without_a_word(session, lab):
    question = ask(session, lab.tam, lab, span(30))
    bookings.cancel(session, actor=lab.ben, booking_id=lab.booking.id, now=NOW)
    assert move_questions.over(session, now=NOW) == [question.id]
    assert move_questions.end(session, question_id=question.id, now=NOW)
    assert (question.state, held(session)) == (QuestionState.OVER, [])
    assert told(session, "booking.move_unanswered") == []


def test_the_owner_may_move_there_themselves(session, lab):
    ask(session, lab.tam, lab, span(30))
    items = [Item(lab.sem.id, span(30))]
    bookings.change(
        session, actor=lab.ben, booking_id=lab.booking.id, version=lab.booking.version, items=items, now=NOW
    )
    assert (lab.booking.starts_at, held(session)) == (span(30).start, [])


@pytest.mark.parametrize(
    ("more", "errors"),
    [
        ({"answer_by": NOW}, {"answer_by": "past"}),
        ({"days": 4}, {"days": "unknown"}),
    ],
)
def test_a_deadline_must_leave_time_to_answer(session, lab, more, errors):
    with pytest.raises(Invalid) as invalid:
        ask(session, lab.tam, lab, span(30), **more)
    assert invalid.value.errors == errors
    with pytest.raises(Refused):
        move_questions.ask(
            session,
            actor=lab.tam,
            booking_id=lab.booking.id,
            span=span(30),
            key="key",
            now=span(24).start,
        )

"""The day of a booking on both engines: late, early, over time, missed; points, bans, and what a pause changes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking import wording
from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound
from booking.domain.credit import Deed
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import attendance, bookings, closures, faults, invariants, undoing
from models import (
    Appeal,
    Ban,
    Booking,
    ClosureKind,
    CreditEntry,
    CreditRule,
    Event,
    Fault,
    Instrument,
    Occupation,
    Rule,
)
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
BEFORE = NOW - timedelta(days=2)


def span(start: float, end: float) -> Span:
    return Span(NOW + start * HOUR, NOW + end * HOUR)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def cleo(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    return cast.actor_of(session, cast.tam(session, sem.facility))


def place(session, actor, instrument, start=0, end=2, now=BEFORE) -> Booking:
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span(start, end))], now=now)


def points(session, actor) -> dict[str, int]:
    query = select(CreditEntry.deed, CreditEntry.points).where(CreditEntry.person_id == actor.person_id)
    return dict(session.execute(query).all())


def kinds(session, booking) -> list[str]:
    return list(session.scalars(select(Event.kind).where(Event.booking_id == booking.id).order_by(Event.id)))


def said(refused) -> list[str]:
    return [wording.sentence(reason.code, reason.params) for reason in refused.value.reasons]


def look(session, now: datetime) -> None:
    """What the job does."""
    for booking_id in attendance.perhaps_missed(session, now=now):
        if attendance.is_missed(session, actor=SYSTEM, booking_id=booking_id, now=now):
            attendance.miss(session, actor=SYSTEM, booking_id=booking_id, now=now)
    for booking_id in attendance.overrunning(session, now=now):
        attendance.overrun(session, actor=SYSTEM, booking_id=booking_id, now=now)
    for booking_id in attendance.unspoken(session, now=now):
        attendance.note_silence(session, actor=SYSTEM, booking_id=booking_id, now=now)


def say_rule(session, facility, name, value) -> None:
    session.add(
        Rule(
            facility_id=facility.id,
            kind=RuleKind.SETTING,
            name=name,
            value=value,
            valid_from=date(2026, 1, 1),
            created_at=BEFORE,
        )
    )
    session.flush()


def sound(session, now: datetime) -> bool:
    faults = [fault for finding in invariants.check(session, now=now) for fault in finding.faults]
    return faults == []


# --- coming ---------------------------------------------------------------------------------------


def test_who_comes_on_time_and_leaves_on_time_gains_a_point(session, ada, sem):
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + 5 * MINUTE)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + 2 * HOUR + 5 * MINUTE)
    usage = booking.usage
    assert (usage.late_minutes, usage.early_minutes, usage.overtime_minutes) == (0, 0, 0)
    assert points(session, ada) == {"normal_use": 1}


def test_who_leaves_well_before_the_end_neither_gains_nor_loses(session, ada, sem):
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + 30 * MINUTE)
    assert booking.usage.early_minutes == 90
    assert points(session, ada) == {}


def test_who_comes_late_is_flagged_and_may_still_use_it(session, ada, sem):
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + 20 * MINUTE)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + HOUR)
    assert (booking.usage.late_minutes, booking.usage.early_minutes) == (20, 60)
    assert points(session, ada) == {"late": -2}


def test_after_the_grace_nobody_checks_in_whether_the_job_ran_or_not(session, ada, sem):
    booking = place(session, ada, sem)
    with pytest.raises(Refused) as refused:
        bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + 30 * MINUTE)
    assert said(refused) == [
        "It is too late to check in: that closed at Mon 2 Nov 2026, 16:30. The time is free for others."
    ]


def test_a_facility_may_turn_late_people_away(session, ada, sem):
    say_rule(session, sem.facility, "late_allowed", 0)
    booking = place(session, ada, sem)
    with pytest.raises(Refused) as refused:
        bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + 6 * MINUTE)
    assert [reason.code for reason in refused.value.reasons] == ["too_late"]
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + 5 * MINUTE)


# --- not coming -----------------------------------------------------------------------------------


def test_who_does_not_come_loses_the_time_and_points_once(session, ada, cleo, sem):
    booking = place(session, ada, sem)
    look(session, NOW + 29 * MINUTE)
    assert booking.state is State.CONFIRMED
    for minutes in (30, 31, 300):
        look(session, NOW + minutes * MINUTE)
    session.refresh(booking)
    assert booking.state is State.NO_SHOW
    assert kinds(session, booking) == ["booking.placed", "booking.no_show", "credit.changed"]
    assert points(session, ada) == {"no_show": -10}
    place(session, cleo, sem, 0.75, 1.5, now=NOW + 40 * MINUTE)
    assert sound(session, NOW + HOUR)


@pytest.mark.parametrize("pause", [30 * MINUTE, 10 * HOUR, timedelta(days=2)])
def test_a_pause_of_the_job_changes_nothing_of_what_is_noted(session, ada, cleo, sem, pause):
    other = make_instrument(session)
    missed, overran = place(session, ada, sem), place(session, cleo, other)
    bookings.check_in(session, actor=cleo, booking_id=overran.id, now=NOW)
    now = NOW
    while now < NOW + timedelta(days=2):
        now += pause
        look(session, now)
    (entry,) = session.scalars(select(CreditEntry).where(CreditEntry.person_id == ada.person_id))
    assert (entry.deed, entry.at) == ("no_show", NOW + 30 * MINUTE)
    event = session.scalars(select(Event).where(Event.kind == "booking.no_show")).one()
    assert event.data["missed"] == (NOW + 30 * MINUTE).isoformat()
    session.refresh(overran.usage)
    assert overran.usage.checked_out_at == NOW + 4 * HOUR
    assert overran.usage.overtime_minutes == 120
    assert points(session, cleo) == {"overtime": -2, "no_feedback": -2}
    assert kinds(session, overran).count("booking.overtime") == 1
    assert missed.state is State.NO_SHOW


def test_a_facility_without_grace_never_notes_a_no_show(session, ada, sem):
    say_rule(session, sem.facility, "grace", None)
    booking = place(session, ada, sem)
    look(session, NOW + 10 * HOUR)
    assert booking.state is State.CONFIRMED


def test_who_came_in_time_is_no_no_show(session, ada, sem):
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    assert not attendance.miss(session, actor=SYSTEM, booking_id=booking.id, now=NOW + HOUR)
    assert booking.state is State.CHECKED_IN


def test_nobody_loses_points_for_a_closed_instrument(session, ada, tam, sem):
    booking = place(session, ada, sem)
    closures.make(
        session,
        actor=tam,
        facility_id=sem.facility_id,
        instrument_id=sem.id,
        span=span(-1, 5),
        kind=ClosureKind.BREAKDOWN,
        reason="",
        imposed=True,
        now=NOW - 30 * MINUTE,
    )
    look(session, NOW + HOUR)
    session.refresh(booking)
    assert booking.state is State.NO_SHOW
    assert points(session, ada) == {}


# --- leaving --------------------------------------------------------------------------------------


def test_who_leaves_early_gives_back_items_that_have_not_begun(session, ada, cleo, sem):
    other = make_instrument(session)
    items = [Item(sem.id, span(0, 2)), Item(other.id, span(2, 4))]
    booking = bookings.place(session, actor=ada, items=items, now=BEFORE)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + HOUR)
    taken = session.execute(
        select(Occupation.instrument_id, Occupation.use_ends_at).where(Occupation.booking_id == booking.id)
    ).all()
    assert taken == [(sem.id, NOW + HOUR)]
    place(session, cleo, other, 2, 4, now=NOW + HOUR)
    assert sound(session, NOW + HOUR)


def test_who_leaves_before_it_begins_gives_all_back(session, ada):
    sem = make_instrument(session, setup_minutes=60)
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW - 30 * MINUTE)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW - 10 * MINUTE)
    assert session.scalar(select(func.count()).select_from(Occupation)) == 0
    assert sound(session, NOW)


def test_who_overruns_into_the_next_counts_as_gone_then_and_the_ledger_stays_whole(session, ada, cleo, sem):
    first = place(session, ada, sem, 0, 2)
    second = place(session, cleo, sem, 2.5, 4)
    bookings.check_in(session, actor=ada, booking_id=first.id, now=NOW)
    look(session, NOW + 2 * HOUR + 10 * MINUTE)
    assert first.state is State.CHECKED_IN
    assert first.usage.overtime_minutes == 6
    bookings.check_in(session, actor=cleo, booking_id=second.id, now=NOW + 2.5 * HOUR)
    look(session, NOW + 3 * HOUR)
    session.refresh(first)
    session.refresh(first.usage)
    assert (first.state, first.usage.overtime_minutes) == (State.ENDED, 30)
    assert first.usage.checked_out_at == NOW + 2.5 * HOUR
    assert second.state is State.CHECKED_IN
    assert sound(session, NOW + 3 * HOUR)
    with pytest.raises(WrongMove):
        bookings.check_out(session, actor=ada, booking_id=first.id, now=NOW + 4 * HOUR)


def test_who_checks_out_late_by_hand_is_noted_as_the_job_would(session, ada, sem):
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + 9 * HOUR)
    assert booking.usage.checked_out_at == NOW + 4 * HOUR
    assert kinds(session, booking).count("booking.overtime") == 1


# --- longer ---------------------------------------------------------------------------------------


def test_a_running_use_is_extended_by_a_step_unless_somebody_follows(session, ada, cleo, sem):
    booking = place(session, ada, sem, 0, 2)
    place(session, cleo, sem, 2.25, 3)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    bookings.extend(session, actor=ada, booking_id=booking.id, now=NOW + HOUR)
    assert (booking.ends_at, booking.state) == (NOW + 2.25 * HOUR, State.CHECKED_IN)
    with pytest.raises(Refused) as refused:
        bookings.extend(session, actor=ada, booking_id=booking.id, now=NOW + HOUR)
    assert [reason.code for reason in refused.value.reasons] == ["taken"]


# --- cancelling and saying ------------------------------------------------------------------------


def test_a_late_cancellation_costs_points_a_managers_does_not(session, ada, tam, sem):
    bookings.cancel(session, actor=ada, booking_id=place(session, ada, sem, 0, 1).id, now=NOW - 2 * HOUR)
    assert points(session, ada) == {}
    ours = place(session, ada, sem, 0, 1)
    bookings.cancel(session, actor=tam, booking_id=ours.id, now=NOW - 30 * MINUTE)
    assert points(session, ada) == {}
    bookings.cancel(session, actor=ada, booking_id=place(session, ada, sem, 0, 1).id, now=NOW - 30 * MINUTE)
    assert points(session, ada) == {"late_cancellation": -3}


def test_a_facilitys_own_points_count_from_their_day(session, ada, sem):
    session.add(
        CreditRule(facility_id=sem.facility_id, deed=Deed.LATE, points=-40, valid_from=date(2026, 1, 1))
    )
    session.flush()
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + 20 * MINUTE)
    assert points(session, ada) == {"late": -40}


def test_a_fault_in_the_feedback_is_reported_once(session, ada, sem):
    booking = place(session, ada, sem)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + 2 * HOUR)
    for comment in ("stage sticks", "stage sticks badly"):
        bookings.feedback(
            session,
            actor=ada,
            booking_id=booking.id,
            rating=2,
            condition="faulty",
            comment=comment,
            samples=3,
            now=NOW + 2 * HOUR,
        )
    assert booking.usage.samples == 3
    fault = session.scalars(select(Fault)).one()
    assert (fault.instrument_id, fault.booking_id, fault.text) == (sem.id, booking.id, "stage sticks")
    look(session, NOW + 30 * HOUR)
    assert points(session, ada) == {"normal_use": 1}


def test_of_several_instruments_the_faulty_one_must_be_named(session, ada, sem):
    bath = make_instrument(session, facility=sem.facility, code="BATH")
    away = make_instrument(session, code="AWAY")
    items = [Item(row.id, Span(NOW, NOW + HOUR)) for row in (sem, bath)]
    booking = bookings.place(session, actor=ada, items=items, now=NOW - HOUR)
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + HOUR)

    def say(condition="faulty", **more):
        bookings.feedback(
            session,
            actor=ada,
            booking_id=booking.id,
            rating=2,
            condition=condition,
            comment="leaks",
            now=NOW + 2 * HOUR,
            **more,
        )
        return [fault.instrument_id for fault in session.scalars(select(Fault).order_by(Fault.reported_at))]

    for wrong, code in (("", "required"), (away.code, "unknown")):
        with pytest.raises(Invalid) as error, session.begin_nested():
            say(faulty=wrong)
        assert error.value.errors == {"instrument_id": code}
    assert say("normal") == []
    assert say(faulty="BATH") == [bath.id]
    assert say() == [bath.id]  # said again, without another word of which
    assert faults.told_of(session, booking_id=booking.id, person_id=ada.person_id) == "BATH"
    assert set(say(faulty=sem.code)) == {bath.id, sem.id}


# --- bans -----------------------------------------------------------------------------------------


def test_whoever_falls_below_the_threshold_may_not_book_there_for_a_month(session, ada, tam, sem):
    name = sem.facility.name_en
    for n in range(5):
        place(session, ada, sem, n * 4, n * 4 + 1)
        look(session, NOW + n * 4 * HOUR + 31 * MINUTE)
    assert session.scalars(select(Ban)).one().ends_at == NOW + 16 * HOUR + 30 * MINUTE + timedelta(days=30)
    later = NOW + timedelta(days=2)
    with pytest.raises(Refused) as refused:
        place(session, ada, sem, 72, 73, now=later)
    (reason,) = refused.value.reasons
    assert (reason.code, reason.overridable) == ("banned", True)
    assert said(refused)[0].startswith(
        f"You may not book at {name} until Thu 3 Dec 2026, 08:30. A manager of the facility may lift this."
    )
    place(session, ada, make_instrument(session), 72, 73, now=later)
    place(session, ada, sem, 24 * 40, 24 * 40 + 1, now=NOW + timedelta(days=35))


# --- not coming, by the word of staff -------------------------------------------------------------


def test_staff_say_that_nobody_came_once_the_grace_is_over(session, ada, cleo, tam, sem):
    booking = place(session, ada, sem)
    early = {"booking_id": booking.id, "now": NOW + 29 * MINUTE}
    assert not attendance.may_call_missed(session, actor=tam, booking=booking, now=early["now"])
    with pytest.raises(Refused) as refused:
        attendance.call_missed(session, actor=tam, **early)
    assert said(refused) == ["They may still come: it counts as missed from Mon 2 Nov 2026, 16:30 on."]
    with pytest.raises(Forbidden):
        attendance.call_missed(session, actor=ada, **early | {"now": NOW + HOUR})
    with pytest.raises(NotFound):
        attendance.call_missed(session, actor=cleo, **early | {"now": NOW + HOUR})
    attendance.call_missed(session, actor=tam, **early | {"now": NOW + 40 * MINUTE})
    assert (booking.state, points(session, ada)) == (State.NO_SHOW, {"no_show": -10})
    place(session, cleo, sem, 0.75, 1.5, now=NOW + 40 * MINUTE)
    with pytest.raises(WrongMove):
        attendance.call_missed(session, actor=tam, **early | {"now": NOW + 41 * MINUTE})
    assert sound(session, NOW + HOUR)


def test_where_nothing_is_missed_by_itself_staff_note_it_and_may_excuse(session, ada, tam, sem):
    say_rule(session, sem.facility, "grace", None)
    booking = place(session, ada, sem)
    look(session, NOW + 10 * HOUR)
    assert booking.state is State.CONFIRMED
    assert not attendance.may_call_missed(session, actor=tam, booking=booking, now=NOW + 5 * MINUTE)
    assert not attendance.may_call_missed(session, actor=ada, booking=booking, now=NOW + HOUR)
    assert attendance.may_call_missed(session, actor=tam, booking=booking, now=NOW + 6 * MINUTE)
    attendance.call_missed(session, actor=tam, booking_id=booking.id, excused=True, now=NOW + HOUR)
    assert (booking.state, points(session, ada)) == (State.NO_SHOW, {})


# --- coming after all -----------------------------------------------------------------------------


def test_who_noted_a_no_show_takes_it_back_within_minutes(session, ada, tam, sem):
    booking = place(session, ada, sem)
    noted = NOW + 40 * MINUTE
    attendance.call_missed(session, actor=tam, booking_id=booking.id, now=noted)
    assert points(session, ada) == {"no_show": -10}
    with pytest.raises(Forbidden):
        undoing.undo(session, actor=ada, booking_id=booking.id, now=noted)
    known = undoing.open_for(session, actor=tam, found=[booking], now=noted)[booking.id]
    assert known.deed is undoing.Deed.MISSED
    with pytest.raises(Refused):
        undoing.undo(session, actor=tam, booking_id=booking.id, now=noted + undoing.WITHIN)
    undoing.undo(session, actor=tam, booking_id=booking.id, version=booking.version, now=noted + MINUTE)
    # The grace is over: were they only expected again, the next look would find them missing again.
    assert (booking.state, kinds(session, booking)[-2]) == (State.CHECKED_IN, "booking.came")
    assert session.scalars(select(CreditEntry.appeal)).all() == [Appeal.GRANTED]
    assert session.scalar(select(func.count()).select_from(Occupation)) == 1
    assert sound(session, noted + MINUTE)


def test_where_nothing_is_missed_by_itself_who_is_not_there_yet_is_expected_again(session, ada, tam, sem):
    say_rule(session, sem.facility, "grace", None)
    booking = place(session, ada, sem)
    noted = NOW + 40 * MINUTE
    attendance.call_missed(session, actor=tam, booking_id=booking.id, now=noted)
    undoing.undo(session, actor=tam, booking_id=booking.id, now=noted + MINUTE)
    assert (booking.state, kinds(session, booking)[-1]) == (State.CONFIRMED, "booking.came")
    bookings.check_in(session, actor=tam, booking_id=booking.id, now=noted + 2 * MINUTE)


@pytest.mark.parametrize(("after", "state"), [(1, State.CHECKED_IN), (30, State.ENDED)])
def test_a_manager_says_later_that_somebody_came_after_all(session, ada, cleo, tam, sem, after, state):
    booking = place(session, ada, sem)
    look(session, NOW + 50 * MINUTE)
    assert (booking.state, points(session, ada)) == (State.NO_SHOW, {"no_show": -10})
    later = {"booking_id": booking.id, "now": NOW + after * HOUR}
    assert not attendance.may_say_came(ada, booking)
    for actor, error in ((ada, Forbidden), (cleo, NotFound)):
        with pytest.raises(error):
            attendance.say_came(session, actor=actor, **later)
    assert attendance.may_say_came(tam, booking)
    attendance.say_came(session, actor=tam, **later)
    assert (booking.state, booking.usage.checked_in_at) == (state, NOW)
    assert session.scalars(select(CreditEntry.appeal)).all() == [Appeal.GRANTED]
    with pytest.raises(WrongMove):
        attendance.say_came(session, actor=tam, **later)
    assert sound(session, NOW + after * HOUR)
    # Nobody loses points for not having said in time how it went.
    assert attendance.unspoken(session, now=NOW + 40 * HOUR) == []


def test_time_that_somebody_else_has_by_now_is_not_had_back(session, ada, cleo, tam, sem):
    booking = place(session, ada, sem)
    attendance.call_missed(session, actor=tam, booking_id=booking.id, now=NOW + 40 * MINUTE)
    place(session, cleo, sem, 0.75, 1.5, now=NOW + 40 * MINUTE)
    with pytest.raises(Refused) as refused:
        attendance.say_came(session, actor=tam, booking_id=booking.id, now=NOW + 50 * MINUTE)
    assert [reason.code for reason in refused.value.reasons] == ["taken"]
    session.expire_all()

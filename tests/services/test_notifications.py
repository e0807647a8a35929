"""Who hears of what, when it is due, and what becomes of it, on both engines."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking.domain.access import SYSTEM, Actor, Role
from booking.domain.lifecycle import State
from booking.domain.notices import Channel
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import (
    accounts,
    approvals,
    approvals_due,
    bookings,
    closures,
    delegations,
    expiry,
    kiosks,
    notifications,
    transfers,
)
from models import (
    ClosureKind,
    Delivery,
    Event,
    Instrument,
    Membership,
    OneTimeLink,
    Person,
    PersonState,
    Reminder,
    Rule,
    RuleKind,
)
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)
REMIND = (60, 1440)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def furnace(session, sem) -> Instrument:
    return make_instrument(session, facility=sem.facility, approval_required=True)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    return cast.actor_of(session, cast.tam(session, sem.facility))


def place(session, actor, *instruments, start=NOW + 2 * DAY, hours=1, now=NOW):
    span = Span(start, start + timedelta(hours=hours))
    items = [Item(instrument.id, span, 1) for instrument in instruments]
    return bookings.place(session, actor=actor, items=items, now=now)


def move(session, actor, booking, start, now=NOW):
    items = [
        Item(item.instrument_id, Span(start, start + (item.ends_at - item.starts_at)), item.quantity)
        for item in booking.items
    ]
    return bookings.change(session, actor=actor, booking_id=booking.id, version=None, items=items, now=now)


def dispatch(session, now=NOW, remind=REMIND) -> int:
    session.flush()
    return notifications.dispatch(session, remind=remind, now=now)


def heard(session) -> set[tuple[str, str]]:
    """Who hears of which kind of event."""
    rows = session.execute(
        select(Person.name, Event.kind)
        .join(Delivery, Delivery.person_id == Person.id)
        .join(Event, Event.id == Delivery.event_id)
    )
    return {(name, kind) for name, kind in rows}


def notice_to(session, person_id, kind, now=NOW):
    query = select(Delivery.id).join(Event, Event.id == Delivery.event_id)
    delivery_id = session.scalars(
        query.where(Delivery.person_id == person_id, Event.kind == kind).order_by(Event.id.desc())
    ).first()
    return notifications.notice(session, delivery_id=delivery_id, now=now)


# --- who hears ------------------------------------------------------------------------------------


def test_the_owner_hears_of_a_booking(session, ada, tam, sem):
    place(session, ada, sem)
    assert dispatch(session) == 1
    assert heard(session) == {("Ada", "booking.placed")}


def test_managers_hear_of_a_request_and_the_owner_of_the_answer(session, ada, tam, furnace):
    booking = place(session, ada, furnace)
    dispatch(session)
    assert heard(session) == {("Ada", "booking.requested"), ("Tam", "approval.opened")}
    assert notice_to(session, tam.person_id, "approval.opened").template == "booking.waiting"
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    dispatch(session)
    assert ("Ada", "booking.approved") in heard(session)
    assert ("Tam", "booking.approved") not in heard(session)


def test_operators_and_managers_elsewhere_hear_of_no_request(session, ada, furnace):
    elsewhere = make_facility(session)
    cast.tam(session, elsewhere)
    nora = cast.nora(session)
    session.add(Membership(person_id=nora.id, role=Role.OPERATOR, facility_id=furnace.facility_id))
    place(session, ada, furnace)
    dispatch(session)
    assert heard(session) == {("Ada", "booking.requested")}


def test_a_manager_learns_only_of_the_items_in_their_own_facility(session, ada, tam, furnace):
    elsewhere = make_instrument(session, approval_required=True)
    place(session, ada, furnace, elsewhere)
    dispatch(session)
    seen = notice_to(session, tam.person_id, "approval.opened")
    assert [item.instrument_id for item in seen.items] == [furnace.id]
    assert len(notice_to(session, ada.person_id, "booking.requested").items) == 2


def test_a_booking_that_asks_for_approval_anew_is_told_to_managers(session, ada, tam, furnace):
    booking = place(session, ada, furnace)
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    dispatch(session)
    move(session, ada, booking, NOW + 3 * DAY)
    assert booking.state is State.REQUESTED
    dispatch(session)
    opened = select(func.count()).select_from(Event).join(Delivery).where(Event.kind == "approval.opened")
    assert session.scalar(opened.where(Delivery.channel == Channel.MAIL)) == 1
    assert notice_to(session, tam.person_id, "approval.opened").template == "booking.waiting"


@pytest.mark.parametrize("decision", ["withdrawn", "rejected", "expired"])
def test_the_owner_hears_of_the_end_of_a_request(session, ada, tam, furnace, decision):
    booking = place(session, ada, furnace)
    if decision == "withdrawn":
        bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    elif decision == "rejected":
        approvals.reject(session, actor=tam, booking_id=booking.id, comment="full", now=NOW)
    else:
        expiry.expire(session, actor=SYSTEM, booking_id=booking.id, now=booking.starts_at)
    dispatch(session)
    assert ("Ada", f"booking.{decision}") in heard(session)


# --- who hears of what is done to them -------------------------------------------------------------


def all_mailed(session, now=NOW) -> set[tuple[str, str]]:
    """Who gets which letter, of all that happened."""
    dispatch(session, now)
    rows = session.execute(
        select(Person.name, Event.kind)
        .join(Delivery, Delivery.person_id == Person.id)
        .join(Event, Event.id == Delivery.event_id)
        .where(Delivery.channel == Channel.MAIL)
    )
    return {(name, kind) for name, kind in rows}


def test_both_hear_of_a_booking_that_changed_hands_and_so_does_the_facility(session, ada, tam, sem):
    ben = cast.actor_of(session, cast.ben(session))
    booking = place(session, ada, sem)
    dispatch(session)
    asked = transfers.offer(session, actor=ada, booking_id=booking.id, to=ben.person_id, now=NOW)
    transfers.accept(session, actor=ben, transfer_id=asked.id, now=NOW)
    assert all_mailed(session) == {
        ("Ada", "booking.placed"),
        ("Ben", "transfer.asked"),
        ("Ada", "transfer.accepted"),
        ("Ben", "booking.handed_over"),
        ("Tam", "booking.handed_over"),
    }
    forms = {
        who.name: notice_to(session, who.person_id, "booking.handed_over").template for who in (ben, tam)
    }
    assert forms == {"Ben": "booking.handed_over", "Tam": "booking.changed_hands"}


def test_both_hear_of_an_offer_that_lapsed_unless_the_booking_was_given_up(session, ada, sem):
    ben = cast.actor_of(session, cast.ben(session))
    first, second = place(session, ada, sem), place(session, ada, sem, start=NOW + 3 * DAY)
    for booking in (first, second):
        transfers.offer(session, actor=ada, booking_id=booking.id, to=ben.person_id, now=NOW)
    bookings.cancel(session, actor=ada, booking_id=second.id, now=NOW)
    dispatch(session)
    transfers.lapse(session, now=NOW + 2 * DAY)
    heard = all_mailed(session, NOW + 2 * DAY)
    assert {one for one in heard if one[1] == "transfer.lapsed"} == {
        ("Ada", "transfer.lapsed"),
        ("Ben", "transfer.lapsed"),
    }
    query = (
        select(Delivery.id)
        .join(Event, Event.id == Delivery.event_id)
        .where(Event.kind == "transfer.lapsed", Delivery.channel == Channel.MAIL)
    )
    told = [
        notifications.notice(session, delivery_id=one, now=NOW + 2 * DAY) for one in session.scalars(query)
    ]
    assert sorted((one.person.name, one.template, one.booking.id == first.id) for one in told if one) == [
        ("Ada", "transfer.lapsed", True),
        ("Ben", "transfer.missed", False),
        ("Ben", "transfer.missed", True),
    ]


def test_who_decides_for_somebody_hears_of_it_and_of_its_end(session, ada, tam):
    ben = cast.actor_of(session, cast.ben(session))
    made = delegations.make(
        session, actor=ada, delegate="ben@example.org", starts_at=NOW, ends_at=NOW + DAY, now=NOW
    )
    delegations.end(session, actor=ada, delegation_id=made.id, now=NOW)
    assert all_mailed(session) == {("Ben", "delegation.made"), ("Ben", "delegation.ended")}
    assert not notice_to(session, ben.person_id, "delegation.made").over


def test_who_did_not_answer_in_time_hears_that_it_counts_as_a_yes(session, ada, tam, sem):
    session.add(
        Rule(
            facility_id=sem.facility_id,
            kind=RuleKind.APPROVAL,
            name="Review",
            data={"approvers": {"role": "manager"}, "deadline_days": 1, "on_silence": "approve"},
            valid_from=NOW.date() - DAY,
            created_at=NOW,
        )
    )
    session.flush()
    booking = place(session, ada, sem, start=NOW + 9 * DAY)
    dispatch(session)
    (step_id,) = approvals_due.due(session, now=NOW + 5 * DAY)
    approvals_due.settle(session, step_id=step_id, now=NOW + 5 * DAY)
    assert booking.state is State.CONFIRMED
    late = {one for one in all_mailed(session, NOW + 5 * DAY) if "requested" not in one[1]}
    assert late == {("Tam", "approval.opened"), ("Tam", "approval.unanswered"), ("Ada", "booking.approved")}
    assert notice_to(session, tam.person_id, "approval.unanswered", NOW + 5 * DAY) is not None


def test_people_hear_what_is_done_to_their_account(session, ada, tam, sem):
    root, ben = cast.actor_of(session, cast.root(session)), cast.ben(session)
    place(session, cast.actor_of(session, ben), sem)
    made = accounts.grant(session, actor=root, person=ben, role=Role.OPERATOR, facility=sem.facility, now=NOW)
    accounts.take_role(session, actor=root, person_id=ben.id, membership_id=made.id, now=NOW)
    accounts.disable(session, actor=root, person_id=ben.id, now=NOW)
    accounts.enable(session, actor=root, person_id=ben.id, now=NOW)
    kiosks.enrol(session, actor=tam, facility_id=sem.facility_id, email=ben.email, number_hash=b"7", now=NOW)
    accounts.change_password(session, actor=ada, password_hash=accounts.PasswordHash("x"), now=NOW)
    assert all_mailed(session) == {
        ("Ben", "booking.placed"),
        ("Ben", "person.role_given"),
        ("Ben", "person.role_taken"),
        ("Ben", "person.enabled"),
        ("Ben", "badge.changed"),
        ("Ada", "person.password_changed"),
    }
    urgent = select(Event.kind).join(Delivery, Delivery.event_id == Event.id)
    inbox = set(session.scalars(urgent.where(Delivery.channel == Channel.INBOX)))
    assert inbox == {"booking.placed", "person.role_given", "person.role_taken"}


def test_the_displaced_hear_of_a_breakdown(session, ada, tam, sem):
    booking = place(session, ada, sem)
    closures.make(
        session,
        actor=tam,
        facility_id=sem.facility_id,
        instrument_id=None,
        span=Span(booking.starts_at, booking.ends_at),
        kind=ClosureKind.BREAKDOWN,
        reason="water in the cellar",
        imposed=True,
        now=NOW,
    )
    dispatch(session)
    assert ("Ada", "booking.displaced") in heard(session)
    assert (
        notice_to(session, ada.person_id, "booking.displaced").event.data["reason"] == "water in the cellar"
    )


def test_the_owner_of_a_one_time_link_hears_of_it_until_it_is_used(session):
    ada = cast.ada(session)
    accounts.ask_reset(session, email=ada.email, key="k", now=NOW)
    dispatch(session)
    found = notice_to(session, ada.id, "person.password_reset_asked")
    assert found.link.person_id == ada.id
    assert found.booking is None
    session.scalars(select(OneTimeLink)).one().used_at = NOW
    assert notice_to(session, ada.id, "person.password_reset_asked") is None


def test_a_link_that_ran_out_is_not_mailed(session):
    ada = cast.ada(session)
    accounts.ask_reset(session, email=ada.email, key="k", now=NOW)
    dispatch(session)
    assert notice_to(session, ada.id, "person.password_reset_asked", now=NOW + DAY) is None


def test_disabled_people_hear_nothing(session, ada, tam, furnace):
    place(session, ada, furnace)
    session.get(Person, tam.person_id).state = PersonState.DISABLED
    dispatch(session)
    assert heard(session) == {("Ada", "booking.requested")}
    session.get(Person, ada.person_id).state = PersonState.DISABLED
    assert notice_to(session, ada.person_id, "booking.requested") is None


def test_a_request_that_was_decided_meanwhile_is_not_told_to_managers(session, ada, tam, furnace):
    booking = place(session, ada, furnace)
    dispatch(session)
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    assert notice_to(session, tam.person_id, "approval.opened") is None


def test_every_event_is_dispatched_once(session, ada, sem):
    place(session, ada, sem)
    assert dispatch(session) == 1
    assert dispatch(session) == 0
    assert session.query(Delivery).filter_by(channel=Channel.MAIL).count() == 1


def test_events_are_dispatched_in_portions_the_oldest_first(session, ada, sem):
    for day in range(2, 7):
        place(session, ada, sem, start=NOW + day * DAY)
    session.flush()
    assert notifications.dispatch(session, remind=(), now=NOW, limit=3) == 3
    left = session.scalars(select(Event.id).where(Event.dispatched_at.is_(None))).all()
    assert left == sorted(session.scalars(select(Event.id)))[-2:]


# --- what is due ----------------------------------------------------------------------------------


@pytest.fixture
def delivery(session, ada, sem) -> Delivery:
    place(session, ada, sem)
    dispatch(session)
    return session.scalars(select(Delivery).where(Delivery.channel == Channel.MAIL)).one()


def test_a_delivery_is_claimed_once_and_comes_up_again_when_its_sender_died(session, delivery):
    assert notifications.claim_due(session, now=NOW) == [delivery.id]
    assert notifications.claim_due(session, now=NOW) == []
    later = NOW + notifications.CLAIM
    assert notifications.claim_due(session, now=later - timedelta(seconds=1)) == []
    assert notifications.claim_due(session, now=later) == [delivery.id]


def test_what_was_sent_never_comes_up_again(session, delivery):
    notifications.claim_due(session, now=NOW)
    notifications.sent(session, delivery_id=delivery.id, now=NOW)
    assert notifications.claim_due(session, now=NOW + 365 * DAY) == []
    assert not notifications.anything_to_do(session, now=NOW + 365 * DAY)


def test_the_claims_of_the_dead_are_given_back(session, delivery):
    notifications.claim_due(session, now=NOW)
    notifications.give_back(session, now=NOW)
    assert notifications.claim_due(session, now=NOW) == [delivery.id]


def test_pauses_double_and_in_the_end_it_is_given_up(session, delivery):
    now, pauses = NOW, []
    while delivery.given_up_at is None and len(pauses) < 100:
        assert notifications.claim_due(session, now=now) == [delivery.id]
        notifications.put_off(session, delivery_id=delivery.id, why="451 later", now=now)
        session.flush()
        session.refresh(delivery)
        pauses.append(delivery.next_at - now)
        now = delivery.next_at
    assert pauses[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert max(pauses[:-1]) <= notifications.LONGEST_PAUSE
    assert delivery.attempts == notifications.MOST_TRIES
    assert delivery.error == "451 later"


def test_an_outage_is_waited_out_and_not_counted(session, delivery):
    now = NOW
    for _ in range(3 * notifications.MOST_TRIES):
        claimed = notifications.claim_due(session, now=now)
        assert claimed == [delivery.id]
        notifications.wait_out(session, delivery_ids=claimed, why="no route", now=now)
        now += notifications.OUTAGE_PAUSE
    session.refresh(delivery)
    assert delivery.attempts == 0
    assert delivery.given_up_at is None


def test_the_backlog_counts_what_waits_for_us_and_not_what_others_refuse(session, ada, sem, delivery):
    assert notifications.backlog(session, now=NOW + 2 * DAY) == notifications.Backlog(1, NOW)
    place(session, ada, sem, start=NOW + 4 * DAY, now=NOW + DAY)
    session.flush()
    assert notifications.backlog(session, now=NOW + 2 * DAY) == notifications.Backlog(2, NOW)
    notifications.put_off(session, delivery_id=delivery.id, why="550 no", now=NOW)
    session.flush()
    assert notifications.backlog(session, now=NOW + 2 * DAY) == notifications.Backlog(1, NOW + DAY)


# --- reminders ------------------------------------------------------------------------------------


def reminded(session) -> list[int]:
    session.flush()
    query = select(Event).where(Event.kind == "booking.reminded").order_by(Event.id)
    return [event.data["minutes"] for event in session.scalars(query)]


def test_a_day_and_an_hour_before_its_start_a_booking_is_called_to_mind_once_each(session, ada, sem):
    booking = place(session, ada, sem)
    dispatch(session)
    assert not notifications.reminders_due(session, now=NOW)
    for at, expected in [
        (booking.starts_at - DAY - timedelta(minutes=1), []),
        (booking.starts_at - DAY, [1440]),
        (booking.starts_at - timedelta(hours=12), [1440]),
        (booking.starts_at - timedelta(hours=1), [1440, 60]),
        (booking.starts_at - timedelta(minutes=30), [1440, 60]),
    ]:
        notifications.remind(session, now=at)
        assert reminded(session) == expected
    dispatch(session)
    assert ("Ada", "booking.reminded") in heard(session)


def test_a_booking_made_three_hours_ahead_is_called_to_mind_only_in_the_last(session, ada, sem):
    place(session, ada, sem, start=NOW + timedelta(hours=3))
    dispatch(session)
    assert session.scalars(select(Reminder.minutes)).all() == [60]


def test_a_request_is_called_to_mind_only_when_it_is_approved(session, ada, tam, furnace):
    booking = place(session, ada, furnace)
    dispatch(session)
    assert session.query(Reminder).count() == 0
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    dispatch(session)
    assert session.query(Reminder).count() == 2


def test_a_moved_booking_is_called_to_mind_at_its_new_time_and_not_at_its_old(session, ada, sem):
    booking = place(session, ada, sem)
    old = booking.starts_at
    dispatch(session)
    notifications.remind(session, now=old - DAY)
    assert reminded(session) == [1440]
    move(session, ada, booking, old + 2 * DAY, now=old - DAY)
    dispatch(session, now=old - DAY)
    notifications.remind(session, now=old - timedelta(hours=1))
    assert reminded(session) == [1440]
    notifications.remind(session, now=old + DAY)
    assert reminded(session) == [1440, 1440]


def test_a_cancelled_booking_is_not_called_to_mind(session, ada, sem):
    booking = place(session, ada, sem)
    dispatch(session)
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    assert notifications.remind(session, now=booking.starts_at - timedelta(hours=1)) == 2
    assert reminded(session) == []


def test_after_a_pause_only_the_last_reminder_is_said_and_none_once_it_has_begun(session, ada, sem):
    booking = place(session, ada, sem)
    other = place(session, ada, sem, start=NOW + timedelta(days=2, hours=5))
    dispatch(session)
    late = booking.starts_at + timedelta(minutes=1)
    notifications.remind(session, now=late)
    assert reminded(session) == [1440]
    event = session.scalars(select(Event).where(Event.kind == "booking.reminded")).one()
    assert event.booking_id == other.id


def test_a_reminder_that_is_sent_too_late_is_dropped(session, ada, sem):
    booking = place(session, ada, sem)
    dispatch(session)
    notifications.remind(session, now=booking.starts_at - timedelta(hours=1))
    dispatch(session)
    assert notice_to(session, ada.person_id, "booking.reminded", now=NOW) is not None
    assert notice_to(session, ada.person_id, "booking.reminded", now=booking.starts_at) is None


# --- requests that nobody decides -------------------------------------------------------------------


def test_a_request_expires_at_its_start_and_gives_its_time_back(session, ada, cleo_too, furnace):
    booking = place(session, ada, furnace)
    assert expiry.overdue(session, now=booking.starts_at - timedelta(minutes=1)) == []
    assert not expiry.expire(session, actor=SYSTEM, booking_id=booking.id, now=NOW)
    assert expiry.overdue(session, now=booking.starts_at) == [booking.id]
    assert expiry.expire(session, actor=SYSTEM, booking_id=booking.id, now=booking.starts_at)
    assert booking.state is State.EXPIRED
    again = place(session, cleo_too, furnace, start=booking.starts_at)
    assert again.state is State.REQUESTED


@pytest.fixture
def cleo_too(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))

"""What really happens in the house reaches those whom it concerns, and can be said to them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from booking import i18n, messages
from booking.config import Settings
from booking.domain.access import SYSTEM, Actor
from booking.domain.credit import Deed
from booking.domain.notices import Channel
from booking.domain.occupation import Item
from booking.domain.recurrence import Pattern, parse
from booking.domain.spans import Span
from booking.jobs import letters
from booking.services import (
    accounts,
    approvals,
    approvals_due,
    attendance,
    bookings,
    credit,
    decision_links,
    events,
    faults,
    notifications,
    offers,
    qualifications,
    repairs,
    series,
    series_approvals,
    transfers,
    turns,
    waitlist,
)
from booking.services.series import Edit, Plan, Scope
from models import (
    ApprovalStep,
    Booking,
    CreditEntry,
    Delivery,
    Event,
    Instrument,
    MembershipRequest,
    RuleKind,
)
from tests import cast
from tests.factories import make_instrument
from tests.services.test_policies import make_rule

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)
START = datetime(2026, 11, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "a key for tests and for tests alone"
SETTINGS = replace(
    Settings(), public_url="https://yiqi.example.org", secret_key=KEY, default_locale="en", host_name="h"
)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session, code="SEM", name_en="Microscope")


@pytest.fixture
def furnace(session, sem) -> Instrument:
    return make_instrument(session, facility=sem.facility, approval_required=True, name_en="Furnace")


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def ben(session) -> Actor:
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    return cast.actor_of(session, cast.tam(session, sem.facility))


def book(session, actor, instrument, start=START, now=NOW):
    return bookings.place(
        session, actor=actor, items=[Item(instrument.id, Span(start, start + 2 * HOUR))], now=now
    )


def told(session, now=NOW) -> dict[tuple[str, str], letters.Letter]:
    """Who is mailed of what, and the letter; every form is tried in every language and in a few words too."""
    session.flush()
    decision_links.write(session, key=KEY, now=now)
    notifications.dispatch(session, remind=(), now=now, limit=1000)
    session.flush()
    query = (
        select(Delivery.id, Event.kind)
        .join(Event, Event.id == Delivery.event_id)
        .where(Delivery.channel == Channel.MAIL, Delivery.sent_at.is_(None))
        .order_by(Event.id)
    )
    found = {}
    for delivery_id, kind in session.execute(query).all():
        notice = notifications.notice(session, delivery_id=delivery_id, now=now)
        notifications.sent(session, delivery_id=delivery_id, now=now)
        if notice is None:
            continue
        for locale in i18n.LOCALES:
            notice.person.locale = locale
            assert letters.write(notice, SETTINGS).text
            with i18n.use_locale(locale):
                said = messages.brief(notice)
                assert said.subject
                assert said.lead
                assert "{" not in said.path
        notice.person.locale = "en"
        found[notice.person.name, kind] = letters.write(notice, SETTINGS)
    return found


def kinds(found) -> set[tuple[str, str]]:
    return set(found)


def test_a_request_reaches_its_approver_with_a_link_that_only_the_mail_has(session, ada, tam, furnace):
    booking = book(session, ada, furnace)
    found = told(session)
    assert kinds(found) == {("Ada", "booking.requested"), ("Tam", "approval.opened")}
    assert "https://yiqi.example.org/decisions/" in found["Tam", "approval.opened"].text
    (entry,), _ = notifications.inbox(session, actor=tam, now=NOW)
    said = messages.brief(entry.notice, public_url=SETTINGS.public_url)
    assert "/decisions/" not in f"{said.subject} {said.lead} {said.path}"
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    assert kinds(told(session)) == {("Ada", "booking.approved")}


def test_an_offer_of_the_waitlist_reaches_one_with_its_link(session, ada, ben, sem):
    booking = book(session, ada, sem)
    window = Span(START, START + 2 * HOUR)
    for minutes, actor in enumerate((ben, cast.actor_of(session, cast.cleo(session)))):
        waitlist.join(
            session,
            actor=actor,
            instrument_ids=[sem.id],
            window=window,
            minutes=120,
            now=NOW + timedelta(minutes=minutes),
        )
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    session.flush()
    for freed in turns.work(session):
        choice = turns.choose(session, freed=freed, skip=set(), now=NOW)
        offers.offer(session, choice=choice, key=KEY, now=NOW)
        turns.done(session, freed=freed)
    found = told(session)
    offered = [name for name, kind in found if kind == "waitlist.offered"]
    assert offered == ["Ben"]
    letter = found["Ben", "waitlist.offered"]
    assert "https://yiqi.example.org/offers/" in letter.text
    assert "Microscope" in letter.subject


def test_the_way_to_a_qualification_is_told_on_both_sides(session, ada, tam, sem):
    qualifications.define(
        session,
        actor=tam,
        facility_id=sem.facility_id,
        code="SEM-1",
        name_zh="电镜资质",
        name_en="Microscope licence",
        months=12,
        now=NOW,
    )
    asked = qualifications.ask(session, actor=ada, code="SEM-1", note="for my thesis", now=NOW)
    found = told(session)
    assert kinds(found) == {("Tam", "qualification.requested")}
    assert (
        "Ada asks for the qualification “Microscope licence”" in found["Tam", "qualification.requested"].text
    )
    qualifications.grant(session, actor=tam, certificate_id=asked.id, now=NOW)
    assert "“Microscope licence”" in told(session)["Ada", "qualification.granted"].text
    assert qualifications.warn(session, now=NOW + timedelta(days=340)) == 1
    assert kinds(told(session, NOW + timedelta(days=340))) == {("Ada", "qualification.expiring")}
    qualifications.revoke(session, actor=tam, certificate_id=asked.id, reason="left the door open", now=NOW)
    assert "left the door open" in told(session)["Ada", "qualification.revoked"].text


def test_a_fault_reaches_the_managers_and_its_end_the_one_who_found_it(session, ada, tam, sem):
    fault = faults.report(session, actor=ada, code="SEM", text="It hums", stops_work=True, now=NOW)
    found = told(session)
    assert kinds(found) == {("Tam", "fault.reported")}
    assert "It hums" in found["Tam", "fault.reported"].text
    repairs.confirm(session, actor=tam, fault_id=fault.id, answer="A bearing", now=NOW)
    assert kinds(told(session)) == {("Ada", "fault.confirmed")}
    repairs.mend(session, actor=tam, fault_id=fault.id, now=NOW)
    assert kinds(told(session)) == {("Ada", "fault.mended")}


def test_who_did_not_come_hears_of_it_and_of_the_points_and_the_managers_of_the_appeal(
    session, ada, tam, sem
):
    booking = book(session, ada, sem)
    told(session)
    late = START + HOUR
    assert attendance.miss(session, actor=SYSTEM, booking_id=booking.id, now=late)
    found = told(session, late)
    assert kinds(found) == {("Ada", "booking.no_show"), ("Ada", "credit.changed")}
    assert "lost 10 points" in found["Ada", "credit.changed"].subject
    entry = session.scalars(select(CreditEntry)).one()
    credit.appeal(session, actor=ada, entry_id=entry.id, text="The train was late", now=late)
    assert "The train was late" in told(session, late)["Tam", "appeal.opened"].text
    credit.decide(session, actor=tam, entry_id=entry.id, grant=True, answer="It was", now=late)
    assert "It was" in told(session, late)["Ada", "appeal.decided"].text


def test_points_that_are_earned_are_told_to_nobody_and_a_ban_to_its_person(session, ada, tam, sem):
    booking = book(session, ada, sem)
    told(session)
    credit.note(
        session,
        actor=SYSTEM,
        person_id=ada.person_id,
        facility_id=sem.facility_id,
        deed=Deed.NORMAL_USE,
        booking_id=booking.id,
        at=NOW,
        now=NOW,
    )
    assert told(session) == {}
    until = NOW + timedelta(days=30)
    credit.ban(
        session,
        actor=tam,
        facility_id=sem.facility_id,
        email="ada@example.org",
        until=until,
        reason="Broken seals",
        now=NOW,
    )
    assert "Broken seals" in told(session)["Ada", "ban.made"].text


def test_an_offer_of_a_booking_reaches_the_colleague_and_the_answer_its_owner(session, ada, ben, sem):
    booking = book(session, ada, sem)
    told(session)
    offer = transfers.offer(
        session, actor=ada, booking_id=booking.id, to=ben.person_id, note="I am ill", now=NOW
    )
    found = told(session)
    assert kinds(found) == {("Ben", "transfer.asked")}
    assert "I am ill" in found["Ben", "transfer.asked"].text
    transfers.accept(session, actor=ben, transfer_id=offer.id, now=NOW)
    assert "Ben" in told(session)["Ada", "transfer.accepted"].text


def test_an_offer_that_was_answered_meanwhile_is_not_mailed(session, ada, ben, sem):
    booking = book(session, ada, sem)
    told(session)
    offer = transfers.offer(session, actor=ada, booking_id=booking.id, to=ben.person_id, now=NOW)
    transfers.decline(session, actor=ben, transfer_id=offer.id, now=NOW)
    assert kinds(told(session)) == {("Ada", "transfer.declined")}


def test_a_series_is_one_message_to_its_person_and_one_to_its_approvers(session, ada, tam, sem, furnace):
    first = date(2026, 11, 5)
    for instrument in (sem, furnace):
        rule = parse("FREQ=WEEKLY;COUNT=4", first)
        series.place(session, actor=ada, plan=Plan(instrument.id, Pattern(rule, first, 540, 120)), now=NOW)
        found = told(session)
        expected = {("Ada", "series.placed")}
        if instrument is furnace:
            expected |= {("Tam", "approval.opened")}
            assert "3 more dates of the same series" in found["Tam", "approval.opened"].text
        assert kinds(found) == expected
        assert "4 dates" in found["Ada", "series.placed"].text
    mails = select(Delivery).where(Delivery.channel == Channel.MAIL)
    assert len(session.scalars(mails).all()) == 3


def test_leaders_hear_of_a_wish_to_belong_once_the_address_is_confirmed(session, ada):
    cleo = cast.cleo(session)
    request = MembershipRequest(person_id=cleo.id, organisation_id=cast.university(session).id, asked_at=NOW)
    session.add(request)
    himself = cast.actor_of(session, cleo)
    events.record(session, actor=himself, kind="person.confirmed", now=NOW, subject=f"person:{cleo.id}")
    assert kinds(told(session)) == {("Ada", "person.confirmed")}
    events.record(session, actor=himself, kind="person.asked_to_join", now=NOW, subject=f"person:{cleo.id}")
    assert ("Ada", "person.asked_to_join") in kinds(told(session))
    accounts.grant_membership(session, actor=ada, person_id=cleo.id, now=NOW)
    assert kinds(told(session)) == {("Cleo", "person.membership_granted")}


def furnace_series(session, actor, furnace, count=4, first=date(2026, 11, 5)):
    rule = parse(f"FREQ=WEEKLY;COUNT={count}", first)
    plan = Plan(furnace.id, Pattern(rule, first, 540, 120))
    return series.place(session, actor=actor, plan=plan, now=NOW)


def waiting_of(session, actor, row, now=NOW) -> list[UUID]:
    found = series_approvals.asked(session, actor=actor, series_id=row.id, now=now)
    return [one.booking.id for one in found]


def mails(session) -> int:
    return session.scalar(select(func.count()).where(Delivery.channel == Channel.MAIL))


def test_yes_to_all_dates_of_a_series_is_one_letter(session, ada, tam, furnace):
    row = furnace_series(session, ada, furnace, 12)
    told(session)
    assert mails(session) == 2
    said = dict.fromkeys(waiting_of(session, tam, row), True)
    assert len(said) == 12
    series_approvals.decide(session, actor=tam, series_id=row.id, said=said, comment="Fine", now=NOW)
    found = told(session)
    assert kinds(found) == {("Ada", "series.decided")}
    letter = found["Ada", "series.decided"].text
    assert "Tam approved dates of your series. They are confirmed." in letter
    assert "12 dates approved" in letter
    assert "Comment: Fine" in letter
    assert mails(session) == 3


def test_yes_to_some_and_no_to_others_is_one_letter(session, ada, tam, furnace):
    row = furnace_series(session, ada, furnace)
    told(session)
    first, *rest = waiting_of(session, tam, row)
    said = {first: False, **dict.fromkeys(rest, True)}
    series_approvals.decide(session, actor=tam, series_id=row.id, said=said, comment="Audit", now=NOW)
    found = told(session)
    assert kinds(found) == {("Ada", "series.decided")}
    assert (
        "Of your series some dates are confirmed, others were rejected."
        in found["Ada", "series.decided"].text
    )
    assert "1 date rejected" in found["Ada", "series.decided"].text


def test_the_second_stage_of_a_series_is_asked_for_in_one_letter(session, ada, tam, furnace):
    for stage, name in enumerate(("Safety", "Capacity"), start=1):
        data = {"stage": stage, "approvers": {"role": "manager"}}
        make_rule(session, name, 1, kind=RuleKind.APPROVAL, data=data, instrument_id=furnace.id)
    row = furnace_series(session, ada, furnace)
    assert kinds(told(session)) == {("Ada", "series.placed"), ("Tam", "approval.opened")}
    said = dict.fromkeys(waiting_of(session, tam, row), True)
    done = series_approvals.decide(session, actor=tam, series_id=row.id, said=said, now=NOW + HOUR)
    assert len(done.waiting) == 4
    assert kinds(told(session)) == {("Tam", "approval.opened")}  # of the second stage, and nobody else yet
    said = dict.fromkeys(waiting_of(session, tam, row), True)
    series_approvals.decide(session, actor=tam, series_id=row.id, said=said, now=NOW + 2 * HOUR)
    assert kinds(told(session)) == {("Ada", "series.decided")}


@pytest.mark.parametrize(
    ("silence", "expected"),
    [
        ("expire", {("Ada", "series.expired"), ("Tam", "approval.expired")}),
        ("approve", {("Ada", "series.decided"), ("Tam", "approval.unanswered")}),
        ("escalate", {("Tam", "approval.escalated"), ("Root", "approval.escalated")}),
    ],
)
def test_silence_on_a_series_is_told_once(session, ada, tam, furnace, silence, expected):
    root = cast.root(session)
    data = {"approvers": {"role": "manager"}, "deadline_days": 2, "on_silence": silence}
    if silence == "escalate":
        data["escalate_to"] = {"people": [str(root.id)]}
    make_rule(session, "Review", 1, kind=RuleKind.APPROVAL, data=data, instrument_id=furnace.id)
    furnace_series(session, ada, furnace, first=date(2026, 11, 19))
    told(session)
    due = session.scalars(select(ApprovalStep.due_at)).first()
    for step_id in approvals_due.to_remind(session, now=due - HOUR):
        approvals_due.remind(session, step_id=step_id, now=due - HOUR)
    found = told(session, due - HOUR)
    assert kinds(found) == {("Tam", "approval.reminded")}
    assert "3 more dates of the same series" in found["Tam", "approval.reminded"].text
    steps = approvals_due.due(session, now=due)
    assert len(steps) == 4
    done = [approvals_due.settle(session, step_id=step_id, now=due) for step_id in steps]
    assert done == [True, False, False, False]
    before = mails(session)
    assert kinds(told(session, due)) == expected
    assert mails(session) == before + len(expected)
    left = {one.state.value for one in session.scalars(select(Booking))}
    assert left == {{"expire": "expired", "approve": "confirmed", "escalate": "requested"}[silence]}


def test_a_series_given_up_or_changed_is_one_letter(session, ada, tam, furnace):
    row = furnace_series(session, ada, furnace)
    told(session)
    series.change(
        session,
        actor=ada,
        series_id=row.id,
        version=None,
        scope=Scope.ALL,
        edit=Edit(start_minute=600, minutes=180),
        now=NOW + HOUR,
    )
    assert kinds(told(session)) == {("Ada", "series.changed"), ("Tam", "approval.opened")}
    series.cancel(session, actor=ada, series_id=row.id, scope=Scope.ALL, now=NOW + HOUR)
    assert kinds(told(session)) == {("Ada", "series.cancelled")}


def test_the_letter_on_a_series_reaches_its_approver_though_the_first_date_is_given_up(
    session, ada, tam, furnace
):
    row = furnace_series(session, ada, furnace)
    series.cancel(session, actor=ada, series_id=row.id, scope=Scope.THIS, day=date(2026, 11, 5), now=NOW)
    found = told(session)
    assert "2 more dates of the same series" in found["Tam", "approval.opened"].text
    assert "12 Nov 2026" in found["Tam", "approval.opened"].subject
    series.cancel(session, actor=ada, series_id=row.id, scope=Scope.ALL, now=NOW)
    (entry,), _total = notifications.inbox(session, actor=tam, now=NOW)
    assert entry.notice.over or entry.notice.foreign

"""People hear of what they chose, by the ways that they chose, when they want to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking.domain.access import VISITOR, Actor, Forbidden, NotFound, Scope
from booking.domain.notices import Channel, Pace, Quiet, Topic
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import bookings, events, notice_wishes, notifications
from models import Delivery, Event, HookKind, Instrument, Membership, NoticeWish, Person, Webhook
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)
URL = "https://oapi.dingtalk.com/robot/send?access_token=9f2c"


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    return cast.actor_of(session, cast.tam(session, sem.facility))


def place(session, actor, instrument, *, start=NOW + 2 * DAY, now=NOW, **more):
    items = [Item(instrument.id, Span(start, start + timedelta(hours=1)), 1)]
    return bookings.place(session, actor=actor, items=items, now=now, **more)


def dispatch(session, now=NOW) -> None:
    session.flush()
    notifications.dispatch(session, remind=(), now=now)
    session.flush()


def choose(session, actor, *, quiet=None, **wishes) -> None:
    """Choose paces; `bookings_mail="daily"` is the topic and the channel."""
    chosen = {}
    for name, pace in wishes.items():
        topic, _, channel = name.partition("_")
        chosen[Topic(topic), Channel(channel)] = Pace(pace)
    notice_wishes.choose(session, actor=actor, wishes=chosen, quiet=quiet, now=NOW)


def add_hook(session, actor, kind=HookKind.DINGTALK, **given) -> Webhook:
    fields = {"name": "Our group", "url": URL, "secret": ""} | given
    return notice_wishes.add_hook(session, actor=actor, kind=kind, now=NOW, **fields)


def ways(session, person_id) -> dict[Channel, Delivery]:
    query = select(Delivery).where(Delivery.person_id == person_id)
    return {row.channel: row for row in session.scalars(query)}


# --- what is chosen -------------------------------------------------------------------------------


def test_who_chose_nothing_hears_by_mail_and_in_the_inbox_at_once(session, ada, sem):
    place(session, ada, sem)
    dispatch(session)
    found = ways(session, ada.person_id)
    assert set(found) == {Channel.MAIL, Channel.INBOX}
    assert all(row.next_at == NOW and not row.digest and row.held_until is None for row in found.values())


def test_an_address_is_a_way_too_until_it_is_switched_off_or_forgotten(session, ada, sem):
    hook = add_hook(session, ada)
    place(session, ada, sem)
    dispatch(session)
    assert Channel.DINGTALK in ways(session, ada.person_id)
    hook.off_at = NOW
    place(session, ada, sem, start=NOW + 3 * DAY)
    dispatch(session)
    count = select(func.count()).where(Delivery.channel == Channel.DINGTALK)
    assert session.scalar(count.select_from(Delivery)) == 1


def test_never_is_never_and_another_topic_is_not_meant(session, ada, sem):
    choose(session, ada, bookings_mail="never", bookings_inbox="never", reminders_mail="weekly")
    place(session, ada, sem)
    dispatch(session)
    assert ways(session, ada.person_id) == {}
    manner = notice_wishes.own(session, actor=ada)
    assert manner.pace(Topic.REMINDERS, Channel.MAIL) is Pace.WEEKLY
    assert manner.pace(Topic.WAITLIST, Channel.MAIL) is Pace.AT_ONCE


def test_digests_wait_for_the_readers_own_morning(session, ada, sem):
    session.get_one(Person, ada.person_id).zone = "Europe/Berlin"
    choose(session, ada, bookings_mail="daily")
    place(session, ada, sem)
    dispatch(session)
    found = ways(session, ada.person_id)
    assert found[Channel.MAIL].digest
    assert found[Channel.MAIL].next_at == datetime(2026, 11, 3, 7, tzinfo=UTC)
    assert found[Channel.INBOX].next_at == NOW
    assert notifications.claim_due(session, now=NOW + 30 * DAY) == []


def test_quiet_hours_keep_mail_until_they_end_and_are_no_backlog(session, ada, sem):
    choose(session, ada, quiet=Quiet(15 * 60, 18 * 60))  # it is 16:00 in Shanghai
    place(session, ada, sem)
    dispatch(session)
    row = ways(session, ada.person_id)[Channel.MAIL]
    ends = datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert (row.next_at, row.held_until) == (ends, ends)
    assert notifications.backlog(session, now=NOW + timedelta(hours=1)).waiting == 0
    assert notifications.backlog(session, now=ends) == notifications.Backlog(1, ends)
    assert notifications.claim_due(session, now=ends - timedelta(seconds=1)) == []
    assert notifications.claim_due(session, now=ends) == [row.id]


def test_quiet_hours_do_not_keep_what_begins_soon_or_a_letter_of_the_account(session, ada, sem):
    choose(session, ada, quiet=Quiet(15 * 60, 18 * 60), bookings_mail="daily")
    place(session, ada, sem, start=NOW + timedelta(hours=1))
    dispatch(session)
    row = ways(session, ada.person_id)[Channel.MAIL]
    assert (row.next_at, row.digest) == (NOW, False)


def test_quiet_hours_chosen_later_keep_what_is_about_to_leave(session, ada, sem):
    place(session, ada, sem)
    dispatch(session)
    row = ways(session, ada.person_id)[Channel.MAIL]
    choose(session, ada, quiet=Quiet(15 * 60, 18 * 60))
    found = notifications.notice(session, delivery_id=row.id, now=NOW)
    until = notifications.quiet_until(session, found=found, now=NOW)
    assert until == datetime(2026, 11, 2, 10, tzinfo=UTC)
    notifications.claim_due(session, now=NOW)
    notifications.hold(session, delivery_ids=[row.id], until=until)
    session.refresh(row)
    assert row.claimed_at is None
    assert row.attempts == 0
    assert notifications.claim_due(session, now=until) == [row.id]


def test_what_is_as_it_would_be_anyway_is_not_kept(session, ada):
    choose(session, ada, bookings_mail="daily", credit_mail="never")
    choose(session, ada, bookings_mail="at_once", credit_mail="weekly")
    kept = session.execute(select(NoticeWish.topic, NoticeWish.pace)).all()
    assert kept == [("credit", Pace.WEEKLY)]


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"bookings_inbox": "daily"}, "bookings-inbox"),
        ({"account_mail": "never"}, "account-mail"),
    ],
)
def test_what_is_not_offered_is_refused(session, ada, wishes, field):
    with pytest.raises(Invalid) as refused:
        choose(session, ada, **wishes)
    assert refused.value.errors == {field: "unknown"}


def test_quiet_hours_have_a_length_and_are_of_a_day(session, ada):
    with pytest.raises(Invalid):
        choose(session, ada, quiet=Quiet(60, 60))
    with pytest.raises(Invalid):
        choose(session, ada, quiet=Quiet(60, 1440))
    choose(session, ada, quiet=Quiet(22 * 60, 0))
    choose(session, ada, quiet=None)
    assert notice_wishes.own(session, actor=ada).quiet is None


def test_visitors_and_tokens_without_the_scope_choose_nothing(session, ada):
    for who in (VISITOR, replace(ada, scopes=frozenset({Scope.READ}))):
        with pytest.raises(Forbidden):
            choose(session, who)
    with pytest.raises(Forbidden):
        add_hook(session, replace(ada, scopes=frozenset(Scope)))


# --- who hears ------------------------------------------------------------------------------------


def test_who_booked_for_another_hears_of_it_but_not_of_what_they_did_themselves(session, ada, tam, sem):
    ben = cast.ben(session)
    booking = place(session, tam, sem)
    booking.person_id, booking.booked_by_id = ben.id, tam.person_id
    dispatch(session)
    assert {row.person_id for row in session.scalars(select(Delivery))} == {ben.id}
    bookings.cancel(session, actor=cast.actor_of(session, ben), booking_id=booking.id, now=NOW)
    dispatch(session)
    assert Channel.MAIL in ways(session, tam.person_id)


def test_of_a_series_one_message_tells(session, ada, sem):
    booking = place(session, ada, sem)
    session.flush()
    for event in session.scalars(select(Event)):
        event.data = {**event.data, "series": "00000000-0000-0000-0000-000000000005"}
    told = {"person_id": str(ada.person_id), "series": "00000000-0000-0000-0000-000000000005", "dates": 3}
    events.record(session, actor=ada, kind="series.placed", now=NOW, facility_id=sem.facility_id, **told)
    dispatch(session)
    kinds = session.scalars(select(Event.kind).join(Delivery, Delivery.event_id == Event.id)).all()
    assert set(kinds) == {"series.placed"}
    assert booking.person_id == ada.person_id


def test_a_message_for_a_manager_is_not_sent_to_one_who_is_none_any_more(session, ada, tam, sem):
    told = {"person_id": str(ada.person_id), "instrument": sem.code, "comment": "", "stops_work": False}
    events.record(session, actor=ada, kind="fault.reported", now=NOW, facility_id=sem.facility_id, **told)
    dispatch(session)
    row = ways(session, tam.person_id)[Channel.MAIL]
    assert notifications.notice(session, delivery_id=row.id, now=NOW) is not None
    session.query(Membership).filter_by(person_id=tam.person_id).delete()
    assert notifications.notice(session, delivery_id=row.id, now=NOW) is None
    (entry,), _ = notifications.inbox(session, actor=tam, now=NOW)
    assert entry.notice.foreign
    assert (entry.notice.booking, entry.notice.items, entry.notice.about) == (None, (), {})


def test_who_reports_a_fault_of_their_own_facility_is_not_told_of_it(session, tam, sem):
    told = {"person_id": str(tam.person_id), "instrument": sem.code, "comment": "", "stops_work": False}
    events.record(session, actor=tam, kind="fault.reported", now=NOW, facility_id=sem.facility_id, **told)
    dispatch(session)
    assert ways(session, tam.person_id) == {}


# --- the inbox ------------------------------------------------------------------------------------


def test_the_inbox_holds_ones_own_the_newest_first_and_counts_the_unread(session, ada, tam, sem):
    cleo = cast.actor_of(session, cast.cleo(session))
    first = place(session, tam, sem, booked_for=ada.person_id)
    second = place(session, tam, sem, start=NOW + 3 * DAY, booked_for=ada.person_id)
    place(session, cleo, sem, start=NOW + 4 * DAY)
    dispatch(session)
    found, total = notifications.inbox(session, actor=ada, now=NOW)
    assert total == notifications.unread(session, actor=ada) == 2
    assert [entry.notice.booking.id for entry in found] == [second.id, first.id]
    notifications.read(session, actor=ada, delivery_id=found[0].notice.delivery_id, now=NOW)
    assert notifications.unread(session, actor=ada) == 1
    left, total = notifications.inbox(session, actor=ada, unread=True, now=NOW)
    assert ([entry.notice.booking.id for entry in left], total) == ([first.id], 1)
    with pytest.raises(NotFound):
        notifications.read(session, actor=cleo, delivery_id=found[0].notice.delivery_id, now=NOW)


def test_what_one_did_oneself_is_on_record_and_no_news(session, ada, sem):
    place(session, ada, sem)
    dispatch(session)
    ((entry,), total) = notifications.inbox(session, actor=ada, now=NOW)
    assert (total, entry.read_at) == (1, NOW)
    assert notifications.unread(session, actor=ada) == 0
    assert len(notifications.claim_due(session, now=NOW, channels=(Channel.MAIL,))) == 1


def test_what_comes_after_the_page_was_made_stays_unread(session, ada, tam, sem):
    place(session, tam, sem, booked_for=ada.person_id)
    dispatch(session)
    place(session, tam, sem, start=NOW + 3 * DAY, booked_for=ada.person_id)
    dispatch(session, now=NOW + timedelta(minutes=1))
    notifications.read_all(session, actor=ada, until=NOW, now=NOW + timedelta(minutes=2))
    assert notifications.unread(session, actor=ada) == 1


def test_the_inbox_is_never_sent(session, ada, sem):
    choose(session, ada, bookings_mail="never")
    place(session, ada, sem)
    dispatch(session)
    assert notifications.claim_due(session, now=NOW + DAY, channels=tuple(Channel)) == []
    assert notifications.claim_digest(session, now=NOW + DAY) is None
    assert notifications.backlog(session, now=NOW + DAY).waiting == 0


# --- digests --------------------------------------------------------------------------------------


def test_a_digest_takes_all_that_is_due_by_one_channel_and_is_claimed_once(session, ada, sem):
    choose(session, ada, bookings_mail="daily", bookings_dingtalk="daily")
    add_hook(session, ada)
    for day in (2, 3, 4):
        place(session, ada, sem, start=NOW + day * DAY)
    dispatch(session)
    assert notifications.claim_digest(session, now=NOW) is None
    morning = NOW + DAY
    claimed = dict([notifications.claim_digest(session, now=morning) for _ in range(2)])
    assert {channel: len(ids) for channel, ids in claimed.items()} == {Channel.MAIL: 3, Channel.DINGTALK: 3}
    assert notifications.claim_digest(session, now=morning) is None
    again = notifications.claim_digest(session, now=morning + notifications.CLAIM)
    assert set(again[1]) == set(claimed[again[0]])


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({"url": ""}, {"url": "required"}),
        ({"url": "http://oapi.dingtalk.com/x"}, {"url": "not_https"}),
        ({"url": "https://127.1/x"}, {"url": "not_public"}),
        ({"url": "https://[::ffff:127.0.0.1]/x"}, {"url": "not_public"}),
        ({"secret": "x\r\nHost: y"}, {"secret": "malformed"}),
        ({"secret": "x" * 201}, {"secret": "too_long_text"}),
        ({"name": "x" * 101}, {"name": "too_long_text"}),
    ],
)
def test_addresses_that_make_no_sense_are_refused(session, ada, given, errors):
    with pytest.raises(Invalid) as refused:
        add_hook(session, ada, **given)
    assert refused.value.errors == errors


def test_of_each_kind_there_is_one_and_it_is_ones_own(session, ada):
    hook = add_hook(session, ada)
    with pytest.raises(Invalid) as refused:
        add_hook(session, ada)
    assert refused.value.errors == {"kind": "taken"}
    add_hook(session, ada, HookKind.GENERIC)
    cleo = cast.actor_of(session, cast.cleo(session))
    assert notice_wishes.hooks(session, actor=cleo) == []
    with pytest.raises(NotFound):
        notice_wishes.remove_hook(session, actor=cleo, hook_id=hook.id, now=NOW)
    notice_wishes.remove_hook(session, actor=ada, hook_id=hook.id, now=NOW)
    assert len(notice_wishes.hooks(session, actor=ada)) == 1


def test_no_event_holds_an_address_or_its_secret(session, ada):
    hook = add_hook(session, ada, secret="SEC77aa")
    notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW)
    notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW + 4 * DAY)
    notice_wishes.remove_hook(session, actor=ada, hook_id=hook.id, now=NOW)
    told = " ".join(f"{event.kind} {event.subject} {event.data}" for event in session.scalars(select(Event)))
    assert "webhook.switched_off" in told
    assert "9f2c" not in told
    assert "SEC77aa" not in told


def test_after_three_days_of_failing_it_is_switched_off_once_and_its_person_told_by_mail(session, ada):
    hook = add_hook(session, ada)
    assert not notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW)
    notice_wishes.hook_worked(session, hook_id=hook.id)
    assert not notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW + 3 * DAY)
    assert not notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW + 6 * DAY - timedelta(seconds=1))
    assert notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW + 6 * DAY)
    assert notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW + 7 * DAY)
    assert notice_wishes.hook_of(session, person_id=ada.person_id, channel=Channel.DINGTALK) is None
    dispatch(session)
    assert set(ways(session, ada.person_id)) == {Channel.MAIL}
    notice_wishes.hook_worked(session, hook_id=hook.id)
    assert notice_wishes.hook_of(session, person_id=ada.person_id, channel=Channel.DINGTALK) is hook

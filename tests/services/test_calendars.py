"""Who may have which feed, and what each of them shows to whom."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, NotFound
from booking.domain.calendars import FeedRules
from booking.domain.lifecycle import Action, State
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import approvals, bookings, calendars, closures, feeds
from booking.services.feeds import Entry, Feed, Gone, Level
from booking.services.sign_in import hashed
from models import (
    Booking,
    CalendarLink,
    CalendarScope,
    ClosureKind,
    Event,
    Facility,
    Instrument,
    Membership,
    Part,
    Person,
    PersonState,
    Privacy,
    Project,
    ProjectMember,
)
from tests import cast
from tests.factories import make_facility, make_instrument

ME, INSTRUMENT, FACILITY, PROJECT, FREE, NETWORK, APPROVALS = CalendarScope
BUSY, SUMMARY, FULL = Privacy
HOST = "yiqi.example.org"
KEY = b"a key for tests"
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def facility(session: Session) -> Facility:
    return make_facility(session, name_zh="平台", name_en="Platform", address="1 Road")


@pytest.fixture
def sem(session: Session, facility: Facility) -> Instrument:
    return make_instrument(
        session, facility=facility, code="SEM", name_zh="电镜", name_en="SEM", location="B 204"
    )


@pytest.fixture
def ada(session: Session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def ben(session: Session) -> Actor:
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def cleo(session: Session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def tam(session: Session, facility: Facility) -> Actor:
    return cast.actor_of(session, cast.tam(session, facility))


@pytest.fixture
def project(session: Session, ada: Actor) -> Project:
    organisation = cast.university(session)
    row = Project(code="P-1", name="Polymers", organisation_id=organisation.id, leader_id=ada.person_id)
    session.add(row)
    session.flush()
    session.add(ProjectMember(project_id=row.id, person_id=ada.person_id))
    session.flush()
    return row


@pytest.fixture
def book(session: Session, now: datetime) -> Callable[..., Booking]:
    """Book hours counted from now on some instruments."""

    def place(who: Actor, *wishes: tuple[Instrument, float, float], **more: object) -> Booking:
        items = [Item(row.id, hours(now, start, end)) for row, start, end in wishes]
        return bookings.place(session, actor=who, items=items, now=now - timedelta(days=60), **more)

    return place


def hours(now: datetime, start: float, end: float) -> Span:
    return Span(now + timedelta(hours=start), now + timedelta(hours=end))


def make(session: Session, who: Actor, now: datetime, scope=ME, subject="", privacy=FULL) -> tuple[UUID, str]:
    link, secret = calendars.make(
        session, actor=who, scope=scope, subject=subject, privacy=privacy, locale="en", now=now
    )
    return link.id, secret


def read(session: Session, secret: str, now: datetime = NOW) -> Feed:
    session.flush()
    session.expire_all()
    return feeds.feed(session, secret_hash=hashed(secret), now=now)


def entries(
    session: Session, secret: str, now: datetime, rules: FeedRules | None = None, **more
) -> list[Entry]:
    found = read(session, secret, now)
    rules = rules or FeedRules()
    keys = [key for key, _ in feeds.outline(session, found, rules=rules, now=now, **more)]
    made = feeds.entries(session, found, keys=keys, host=HOST, secret=KEY)
    rest = feeds.others(session, found, rules=rules, host=HOST, secret=KEY, now=now)
    return sorted(
        [*(entry for group in made.values() for entry in group), *rest], key=lambda entry: entry.starts_at
    )


def shown(
    session: Session, who: Actor, now: datetime, scope=ME, subject="", privacy=FULL, **more
) -> list[Entry]:
    _, secret = make(session, who, now, scope, subject, privacy)
    return entries(session, secret, now, **more)


# --- addresses -------------------------------------------------------------------------------------


def test_an_address_is_kept_as_a_hash_and_told_once(session, ada, now):
    link, secret = calendars.make(session, actor=ada, scope=ME, privacy=BUSY, locale="en", now=now)
    assert len(secret) >= 22  # 128 bits and more
    assert link.secret_hash == hashed(secret)
    assert secret not in str(vars(link))
    assert [listed.link for listed in calendars.listing(session, actor=ada)] == [link]


def test_each_address_has_its_own_secret(session, ada, now):
    assert len({make(session, ada, now)[1] for _ in range(3)}) == 3


def test_making_and_revoking_are_events_without_the_secret(session, ada, now):
    link_id, secret = make(session, ada, now)
    calendars.revoke(session, actor=ada, link_id=link_id, now=now)
    found = session.query(Event).order_by(Event.id).all()
    assert [event.kind for event in found] == ["calendar.made", "calendar.revoked"]
    assert all(secret not in f"{event.subject}{event.data}" for event in found)


@pytest.mark.parametrize(("scope", "subject"), [(ME, "SEM"), (INSTRUMENT, ""), (FREE, ""), (PROJECT, "")])
def test_a_subject_must_go_with_the_scope(session, ada, sem, now, scope, subject):
    with pytest.raises(Invalid) as refused:
        make(session, ada, now, scope, subject)
    assert "id" in refused.value.errors


@pytest.mark.parametrize("scope", [INSTRUMENT, FREE])
def test_an_unknown_instrument_has_no_feed(session, ada, now, scope):
    with pytest.raises(NotFound):
        make(session, ada, now, scope, "NONE")


@pytest.mark.parametrize("scope", [INSTRUMENT, FREE])
def test_an_unpublished_instrument_has_a_feed_for_its_staff_alone(session, ada, tam, sem, now, scope):
    sem.published = False
    assert make(session, tam, now, scope, "SEM")
    with pytest.raises(NotFound):
        make(session, ada, now, scope, "SEM")


def test_a_facility_has_a_feed_for_its_staff_alone(session, ada, cleo, tam, facility, now):
    assert make(session, tam, now, FACILITY, facility.code)
    elsewhere = make_facility(session)
    for who, code in ((ada, facility.code), (cleo, facility.code), (tam, elsewhere.code)):
        with pytest.raises(Forbidden):
            make(session, who, now, FACILITY, code)
    with pytest.raises(NotFound):
        make(session, tam, now, FACILITY, "NONE")


def test_a_project_has_a_feed_for_its_people_alone(session, ada, ben, cleo, project, now):
    assert make(session, ada, now, PROJECT, str(project.id))
    for who, key in ((ben, str(project.id)), (cleo, str(project.id)), (ada, str(uuid4())), (ada, "P-1")):
        with pytest.raises(NotFound):
            make(session, who, now, PROJECT, key)
    session.add(ProjectMember(project_id=project.id, person_id=ben.person_id))
    assert make(session, ben, now, PROJECT, str(project.id))


def test_a_visitor_makes_no_address(session, now):
    with pytest.raises(Forbidden):
        make(session, Actor(), now)


def test_there_is_an_end_to_addresses(session, ada, now, monkeypatch):
    monkeypatch.setattr(calendars, "MOST", 2)
    first, _ = make(session, ada, now)
    make(session, ada, now)
    with pytest.raises(Invalid) as refused:
        make(session, ada, now)
    assert refused.value.errors == {"scope": "too_many"}
    calendars.revoke(session, actor=ada, link_id=first, now=now)
    assert make(session, ada, now)


def test_nobody_touches_the_addresses_of_others(session, ada, cleo, now):
    link_id, _ = make(session, ada, now)
    for act in (calendars.revoke, calendars.rotate):
        with pytest.raises(NotFound):
            act(session, actor=cleo, link_id=link_id, now=now)
        with pytest.raises(NotFound):
            act(session, actor=ada, link_id=uuid4(), now=now)
    assert calendars.listing(session, actor=cleo) == []


def test_a_revoked_address_is_gone_for_good(session, ada, now):
    link_id, secret = make(session, ada, now)
    assert calendars.revoke(session, actor=ada, link_id=link_id, now=now) == hashed(secret)
    with pytest.raises(Gone):
        read(session, secret)
    assert calendars.listing(session, actor=ada) == []
    later = now + timedelta(days=1)
    calendars.revoke(session, actor=ada, link_id=link_id, now=later)
    assert session.get(CalendarLink, link_id).revoked_at == now
    with pytest.raises(NotFound):
        calendars.rotate(session, actor=ada, link_id=link_id, now=later)


def test_a_new_secret_ends_the_old_one(session, ada, sem, now):
    link_id, old = make(session, ada, now, INSTRUMENT, "SEM", BUSY)
    link, new, old_hash = calendars.rotate(session, actor=ada, link_id=link_id, now=now)
    assert old_hash == hashed(old)
    with pytest.raises(Gone):
        read(session, old)
    found = read(session, new)
    assert (found.scope, found.privacy, found.subject) == (INSTRUMENT, BUSY, sem)
    assert link.id != link_id


def test_an_address_that_never_was(session, ada, now):
    make(session, ada, now)
    with pytest.raises(NotFound):
        read(session, "guessed")


def test_the_address_of_a_closed_account_is_gone(session, ada, now):
    _, secret = make(session, ada, now)
    session.execute(update(Person).where(Person.id == ada.person_id).values(state=PersonState.DISABLED))
    with pytest.raises(Gone):
        read(session, secret)


def test_the_last_fetch_is_noted_and_never_back_in_time(session, ada, now):
    link_id, _ = make(session, ada, now)
    for at, agent in ((now, "one"), (now - timedelta(hours=1), "two")):
        calendars.note_fetch(session, link_id=link_id, agent=agent, address="192.0.2.0/24", now=at)
    session.flush()
    session.expire_all()
    link = session.get(CalendarLink, link_id)
    assert (link.fetched_at, link.agent, link.address) == (now, "one", "192.0.2.0/24")


def test_facilities_and_projects_to_choose_from(session, ada, ben, tam, facility, project):
    make_facility(session)

    def of(who):
        choice = calendars.subjects(session, actor=who, now=NOW)
        return choice.facilities, choice.projects

    assert of(ada) == ([], [project])
    assert of(ben) == ([], [])
    assert of(tam) == ([facility], [])


# --- one's own bookings ----------------------------------------------------------------------------


def test_my_feed_shows_my_bookings_and_no_others(session, ada, ben, sem, project, book, now):
    mine = book(ada, (sem, 1, 2), purpose="Fibres", project_id=project.id)
    book(ben, (sem, 2, 3), purpose="Secret")
    (entry,) = shown(session, ada, now)
    assert entry.uid == f"{mine.id}@{HOST}"
    assert (entry.starts_at, entry.ends_at) == hours(now, 1, 2)
    assert (entry.purpose, entry.project, entry.level, entry.mine) == ("Fibres", "Polymers", Level.FULL, True)
    assert [(place.name_en, place.location, place.facility.name_en) for place in entry.places] == [
        ("SEM", "B 204", "Platform")
    ]
    assert (entry.state, entry.kind, entry.sequence) == (State.CONFIRMED, Kind.BOOKING, 0)


def test_instruments_of_one_span_are_one_event(session, ada, sem, facility, book, now):
    xrd = make_instrument(session, facility=facility, code="XRD")
    booking = book(ada, (sem, 1, 2), (xrd, 1, 2))
    (entry,) = shown(session, ada, now)
    assert entry.uid == f"{booking.id}@{HOST}"
    assert [place.code for place in entry.places] == ["SEM", "XRD"]


def test_instruments_at_different_times_are_an_event_each(session, ada, sem, facility, book, now):
    xrd = make_instrument(session, facility=facility, code="XRD")
    booking = book(ada, (sem, 1, 2), (xrd, 3, 5))
    assert [(entry.uid, entry.starts_at, entry.places[0].code) for entry in shown(session, ada, now)] == [
        (f"{booking.id}-0@{HOST}", now + timedelta(hours=1), "SEM"),
        (f"{booking.id}-1@{HOST}", now + timedelta(hours=3), "XRD"),
    ]


def test_one_uid_in_every_kind_of_feed(session, ada, tam, sem, facility, project, book, now):
    book(ada, (sem, 1, 2), project_id=project.id)
    uids = {
        entry.uid
        for who, scope, subject in (
            (ada, ME, ""),
            (ada, INSTRUMENT, "SEM"),
            (tam, FACILITY, facility.code),
            (ada, PROJECT, str(project.id)),
        )
        for entry in shown(session, who, now, scope, subject, SUMMARY)
    }
    assert len(uids) == 1


def test_a_busy_feed_tells_no_booking(session, ada, sem, book, now):
    booking = book(ada, (sem, 1, 2), purpose="Fibres")
    (entry,) = shown(session, ada, now, privacy=BUSY)
    assert str(booking.id) not in entry.uid
    assert entry.level is Level.BUSY
    (again,) = shown(session, ada, now, INSTRUMENT, "SEM", BUSY)
    assert again.uid == entry.uid


def test_a_request_awaits_approval_until_it_is_approved(session, ada, tam, sem, book, now):
    sem.approval_required = True
    booking = book(ada, (sem, 1, 2))
    _, secret = make(session, ada, now)
    (entry,) = entries(session, secret, now)
    assert (entry.state, entry.sequence) == (State.REQUESTED, 0)
    before = read(session, secret).version
    approvals.approve(session, actor=tam, booking_id=booking.id, now=now)
    (entry,) = entries(session, secret, now)
    assert entry.state is State.CONFIRMED
    assert entry.sequence > 0
    assert entry.updated_at == now
    assert read(session, secret).version != before


def test_what_is_called_off_is_left_out_unless_asked_for(session, ada, ben, sem, book, now):
    booking = book(ada, (sem, 30, 32))
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=now)
    assert shown(session, ada, now) == []
    assert shown(session, ada, now, INSTRUMENT, "SEM") == []
    for scope, subject in ((ME, ""), (INSTRUMENT, "SEM")):
        (entry,) = shown(session, ada, now, scope, subject, cancelled=True)
        assert (entry.uid, entry.state) == (f"{booking.id}@{HOST}", State.CANCELLED)
    # That somebody else gave something up is nobody's business.
    assert shown(session, ben, now, INSTRUMENT, "SEM", cancelled=True) == []


def test_uids_outlive_edits_and_sequences_only_rise(session, ada, sem, book, now):
    booking = book(ada, (sem, 30, 32))
    _, secret = make(session, ada, now)
    (before,) = entries(session, secret, now)
    for hour in (1, 2):
        bookings.change(
            session,
            actor=ada,
            booking_id=booking.id,
            version=None,
            items=[Item(sem.id, hours(now, 30 + hour, 32 + hour))],
            now=now + timedelta(minutes=hour),
        )
        (after,) = entries(session, secret, now)
        assert after.uid == before.uid
        assert after.sequence > before.sequence
        assert after.updated_at > before.updated_at
        assert after.version > before.version
        before = after


def test_a_new_name_of_an_instrument_is_a_change_of_its_events(session, ada, sem, book, now):
    book(ada, (sem, 1, 2))
    _, secret = make(session, ada, now)
    before = read(session, secret).version
    sem.name_en, sem.updated_at = "New SEM", now
    session.flush()
    (entry,) = entries(session, secret, now)
    assert (entry.places[0].name_en, entry.updated_at) == ("New SEM", now)
    assert read(session, secret).version != before


# --- the bookings of others ------------------------------------------------------------------------


def test_strangers_see_that_an_instrument_is_taken_and_no_more(session, ada, cleo, sem, book, now):
    booking = book(ada, (sem, 1, 2), purpose="Fibres")
    for privacy in Privacy:
        (entry,) = shown(session, cleo, now, INSTRUMENT, "SEM", privacy)
        assert entry.level is Level.MASKED
        assert (entry.person, entry.purpose, entry.project, entry.places) == ("", "", "", ())
        assert entry.state is None
        assert str(booking.id) not in entry.uid
        assert (entry.starts_at, entry.ends_at) == hours(now, 1, 2)


def test_the_manager_of_the_facility_sees_who_and_why(session, ben, tam, sem, facility, book, now):
    book(ben, (sem, 1, 2), purpose="Fibres")
    for scope, subject in ((INSTRUMENT, "SEM"), (FACILITY, facility.code)):
        (entry,) = shown(session, tam, now, scope, subject, FULL)
        assert (entry.level, entry.person, entry.purpose) == (Level.FULL, "Ben", "Fibres")


def test_the_manager_of_another_facility_is_a_stranger(session, ben, sem, book, now):
    book(ben, (sem, 1, 2))
    manager = cast.actor_of(session, cast.tam(session, make_facility(session)))
    (entry,) = shown(session, manager, now, INSTRUMENT, "SEM")
    assert entry.level is Level.MASKED


def test_a_leader_sees_the_bookings_of_her_organisation(session, ada, ben, cleo, sem, book, now):
    book(ben, (sem, 1, 2), purpose="Fibres")
    book(cleo, (sem, 3, 4), confidential=False)
    levels = [entry.level for entry in shown(session, ada, now, INSTRUMENT, "SEM")]
    assert levels == [Level.FULL, Level.MASKED]


def test_a_confidential_booking_is_masked_for_everybody_else(
    session, ada, ben, cleo, tam, sem, facility, project, book, now
):
    book(cleo, (sem, 1, 2), purpose="Secret alloy")
    book(ada, (sem, 3, 4), purpose="Fibres", confidential=True, project_id=project.id)
    session.add(ProjectMember(project_id=project.id, person_id=ben.person_id))
    for who, scope, subject in (
        (tam, INSTRUMENT, "SEM"),
        (tam, FACILITY, facility.code),
        (ben, INSTRUMENT, "SEM"),
        (ben, PROJECT, str(project.id)),
    ):
        found = shown(session, who, now, scope, subject, FULL)
        assert found
        assert {entry.level for entry in found} == {Level.MASKED}
    (own,) = shown(session, cleo, now)
    assert (own.level, own.purpose) == (Level.FULL, "Secret alloy")


def test_people_of_a_project_see_its_bookings(session, ada, ben, sem, project, book, now):
    session.add(ProjectMember(project_id=project.id, person_id=ben.person_id))
    book(ada, (sem, 1, 2), purpose="Fibres", project_id=project.id)
    book(ada, (sem, 3, 4))
    (entry,) = shown(session, ben, now, PROJECT, str(project.id))
    assert (entry.level, entry.person, entry.purpose) == (Level.FULL, "Ada", "Fibres")


def test_rights_are_those_of_the_moment(session, ben, tam, sem, facility, book, now):
    book(ben, (sem, 1, 2))
    _, of_instrument = make(session, tam, now, INSTRUMENT, "SEM")
    _, of_facility = make(session, tam, now, FACILITY, facility.code)
    before = read(session, of_instrument).version
    session.query(Membership).filter_by(person_id=tam.person_id).delete()
    (entry,) = entries(session, of_instrument, now)
    assert entry.level is Level.MASKED
    assert read(session, of_instrument).version != before
    assert not read(session, of_facility).readable
    assert entries(session, of_facility, now) == []


def test_an_instrument_that_is_withdrawn_leaves_an_empty_feed(session, ada, sem, book, now):
    book(ada, (sem, 1, 2))
    _, secret = make(session, ada, now, INSTRUMENT, "SEM")
    sem.published = False
    session.flush()
    assert not read(session, secret).readable
    assert entries(session, secret, now) == []
    sem.published = True
    session.flush()
    assert len(entries(session, secret, now)) == 1


# --- lines, closures, free time --------------------------------------------------------------------


def test_the_feed_of_a_station_shows_the_line_that_takes_it(session, ada, tam, facility, book, now):
    line = make_instrument(session, facility=facility, code="LINE")
    station = make_instrument(session, facility=facility, code="ST")
    session.add(Part(line_id=line.id, station_id=station.id))
    session.flush()
    booking = book(ada, (line, 1, 2))
    for code in ("LINE", "ST"):
        (entry,) = shown(session, ada, now, INSTRUMENT, code)
        assert (entry.uid, entry.places[0].code) == (f"{booking.id}@{HOST}", "LINE")
    (entry,) = shown(session, tam, now, FACILITY, facility.code)
    assert entry.uid == f"{booking.id}@{HOST}"


def test_an_instruments_feed_shows_only_its_own_part_of_a_booking(session, ada, facility, sem, book, now):
    xrd = make_instrument(session, facility=facility, code="XRD")
    booking = book(ada, (sem, 1, 2), (xrd, 3, 4))
    (entry,) = shown(session, ada, now, INSTRUMENT, "XRD")
    assert (entry.uid, entry.places[0].code) == (f"{booking.id}-1@{HOST}", "XRD")


def test_a_closure_is_one_event_in_every_feed(session, ada, tam, sem, facility, now):
    make_instrument(session, facility=facility, code="XRD")
    closure, _ = closures.make(
        session,
        actor=tam,
        facility_id=facility.id,
        instrument_id=None,
        span=hours(now, 24, 48),
        kind=ClosureKind.MAINTENANCE,
        reason="New filters",
        imposed=False,
        now=now,
    )
    uid = f"{closure.id}@{HOST}"
    (whole,) = shown(session, tam, now, FACILITY, facility.code)
    (one,) = shown(session, ada, now, INSTRUMENT, "SEM", SUMMARY)
    assert whole.uid == one.uid == uid
    assert whole.kind is one.kind is Kind.MAINTENANCE
    assert (one.purpose, [place.code for place in one.places], whole.places) == ("New filters", ["SEM"], ())
    (busy,) = shown(session, ada, now, INSTRUMENT, "SEM", BUSY)
    assert busy.level is Level.BUSY
    _, secret = make(session, ada, now, INSTRUMENT, "SEM")
    before = read(session, secret).version
    closures.lift(session, actor=tam, closure_id=closure.id, now=now)
    assert entries(session, secret, now) == []
    assert read(session, secret).version != before


def test_free_time_is_what_is_left_around_a_booking(session, ada, sem, book, now):
    book(ada, (sem, 1, 2))
    found = shown(session, ada, now, FREE, "SEM", rules=FeedRules(days_ahead=1))
    today = now.replace(hour=0, minute=0)
    assert [(entry.starts_at, entry.ends_at) for entry in found] == [
        (today, now + timedelta(hours=1)),
        (now + timedelta(hours=2), today + timedelta(days=2)),
    ]
    assert {(entry.kind, entry.level, entry.units) for entry in found} == {(None, Level.SUMMARY, (1,))}
    assert len({entry.uid for entry in found}) == 2


def test_free_time_ends_at_the_horizon_and_stands_all_day(session, ada, sem, now):
    sem.horizon_minutes = 3 * 24 * 60
    _, secret = make(session, ada, now, FREE, "SEM")
    (entry,) = entries(session, secret, now)
    assert entry.ends_at == now.replace(hour=0) + timedelta(days=3)
    assert entries(session, secret, now + timedelta(hours=9)) == [entry]
    sem.bookable = False
    session.flush()
    assert entries(session, secret, now) == []


def test_free_time_of_a_line_depends_on_its_stations(session, ada, facility, book, now):
    line = make_instrument(session, facility=facility, code="LINE")
    station = make_instrument(session, facility=facility, code="ST")
    session.add(Part(line_id=line.id, station_id=station.id))
    session.flush()
    _, secret = make(session, ada, now, FREE, "LINE")
    before = read(session, secret).version
    book(ada, (station, 1, 2))
    assert read(session, secret).version != before
    assert len(entries(session, secret, now)) == 2


# --- window and cap --------------------------------------------------------------------------------


def test_the_window_cuts_what_is_far_off(session, ada, sem, book, now):
    days = (-31, -29, 0, 364, 367)
    for day in days:
        book(ada, (sem, 24 * day + 1, 24 * day + 2))
    for scope, subject in ((ME, ""), (INSTRUMENT, "SEM")):
        found = shown(session, ada, now, scope, subject)
        assert [(entry.starts_at - now).days for entry in found] == [-29, 0, 364]


@pytest.mark.parametrize("scope", [ME, INSTRUMENT])
def test_over_the_cap_the_past_goes_first(session, ada, sem, book, now, scope):
    for day in (-3, -2, -1, 1, 2, 3):
        book(ada, (sem, 24 * day, 24 * day + 1))
    _, secret = make(session, ada, now, scope, "" if scope is ME else "SEM")

    def days(cap: int) -> list[int]:
        return [(entry.starts_at - now).days for entry in entries(session, secret, now, FeedRules(cap=cap))]

    assert days(6) == [-3, -2, -1, 1, 2, 3]
    assert days(4) == [-1, 1, 2, 3]
    assert days(2) == [1, 2]


def test_a_booking_across_the_edge_of_the_window_is_in_it(session, ada, sem, book, now):
    midnight = now.replace(hour=0) - now
    edge = midnight.total_seconds() / 3600 - 24 * 30
    book(ada, (sem, edge - 2, edge + 1))
    assert len(shown(session, ada, now)) == 1


# --- versions --------------------------------------------------------------------------------------


def test_every_deed_moves_the_versions_and_nothing_else_does(
    session, ada, tam, sem, facility, project, book, now
):
    sem.approval_required = True
    secrets = [
        make(session, who, now, scope, subject)[1]
        for who, scope, subject in (
            (ada, ME, ""),
            (ada, INSTRUMENT, "SEM"),
            (ada, FREE, "SEM"),
            (tam, FACILITY, facility.code),
            (ada, PROJECT, str(project.id)),
        )
    ]

    def versions() -> list[tuple[object, ...]]:
        return [read(session, secret).version for secret in secrets]

    seen = [versions()]
    booking = book(ada, (sem, 30, 32), project_id=project.id)
    seen.append(versions())
    approvals.approve(session, actor=tam, booking_id=booking.id, now=now)
    seen.append(versions())
    bookings.change(
        session,
        actor=ada,
        booking_id=booking.id,
        version=None,
        purpose="Fibres",
        now=now + timedelta(minutes=1),
    )
    seen.append(versions())
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=now)
    seen.append(versions())
    for feed in zip(*seen, strict=True):
        assert len({str(version) for version in feed}) == len(seen)
    assert versions() == seen[-1]


def test_a_feed_costs_few_statements_and_few_more_for_many_bookings(session, ada, sem, book, now):
    _, secret = make(session, ada, now)

    def statements() -> int:
        ran: list[str] = []

        def note(_connection, _cursor, statement, *_rest) -> None:
            ran.append(statement)

        session.flush()
        bind = session.get_bind()
        event.listen(bind, "before_cursor_execute", note)
        try:
            entries(session, secret, now)
        finally:
            event.remove(bind, "before_cursor_execute", note)
        return len(ran)

    book(ada, (sem, 1, 2))
    few = statements()
    for hour in range(2, 12):
        book(ada, (sem, hour, hour + 1))
    assert statements() == few <= 8


def test_actions_that_call_off_are_known():
    ends = {State.CANCELLED, State.WITHDRAWN, State.REJECTED, State.EXPIRED}
    assert ends == feeds.CALLED_OFF
    assert Action.MISS not in feeds.CALLED_OFF

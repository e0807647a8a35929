"""Calendars kept elsewhere: their busy time becomes facts, only differences are written, nothing is lost in silence."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking.domain.access import Forbidden, NotFound, Role
from booking.domain.calendar_sources import Entry, Means, Reading, SourceState
from booking.domain.lifecycle import State
from booking.domain.occupation import Item, Kind
from booking.domain.replanning import ReplanState
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, calendar_sources, occupation, replans
from booking.services.calendar_sources import state_of
from models import CameFree, Event, Instrument, Membership, Occupation, OutsideEvent
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
URL = "https://calendars.example.org/private-9f2c/basic.ics"


def hours(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


def entry(start: float, end: float, uid="e1", **more) -> Entry:
    return Entry(
        **{"uid": uid, "recurrence": "", "span": hours(start, end), "all_day": False, "title": "Pump"} | more
    )


def reading(*entries: Entry) -> Reading:
    return Reading("Plans", entries)


@pytest.fixture
def facility(session):
    return make_facility(session)


@pytest.fixture
def furnace(session, facility):
    return make_instrument(session, facility=facility)


@pytest.fixture
def pool(session, facility):
    return make_instrument(session, facility=facility, units=4)


@pytest.fixture
def tam(session, facility):
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=facility.id))
    session.flush()
    return cast.actor_of(session, person)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


def drafted(session, actor, facility, *places, **more):
    given = {"name": "Operator's plan", "url": URL, "means": Means.MAINTENANCE} | more
    return calendar_sources.draft(
        session, actor=actor, facility_id=facility.id, instruments=[place.code for place in places], **given
    )


def add(session, actor, facility, *places, **more):
    made = drafted(session, actor, facility, *places, **more)
    return calendar_sources.add(session, actor=actor, draft=made, now=NOW)


def take(session, source, *entries, now=NOW, data=b"x", **more):
    calendar_sources.take_over(
        session, source_id=source.id, reading=reading(*entries), data=data, now=now, **more
    )
    session.flush()


def rows(session, source):
    query = select(Occupation).where(Occupation.source_id == source.id)
    found = session.scalars(query.order_by(Occupation.instrument_id, Occupation.starts_at))
    return [
        (
            row.instrument_id,
            (row.starts_at - NOW) / timedelta(hours=1),
            (row.ends_at - NOW) / timedelta(hours=1),
        )
        for row in found
    ]


def revision(session, place):
    return session.scalar(select(Instrument.revision).where(Instrument.id == place.id))


def place(session, actor, instrument, start=1, end=2):
    return bookings.place(session, actor=actor, items=[Item(instrument.id, hours(start, end))], now=NOW)


def told(session, kind):
    query = select(func.count()).select_from(Event).where(Event.kind == f"calendar_source.{kind}")
    return session.scalar(query)


# --- busy time --------------------------------------------------------------------------------------------


def test_busy_time_takes_every_unit_and_is_never_refused(session, tam, ada, facility, pool, furnace):
    booked = place(session, ada, pool)
    source = add(session, tam, facility, pool)
    take(session, source, entry(1, 3))
    row = session.scalars(select(Occupation).where(Occupation.source_id == source.id)).one()
    assert (row.kind, row.imposed, row.quantity) == (Kind.EXTERNAL, True, 4)
    assert booked.state is State.CONFIRMED
    with pytest.raises(Refused):
        place(session, ada, pool, 2, 3)
    place(session, ada, furnace)
    assert state_of(source) is SourceState.WORKING


def test_without_instruments_it_is_all_of_the_facility_those_of_later_too(
    session, tam, facility, furnace, pool
):
    source = add(session, tam, facility)
    take(session, source, entry(1, 3))
    assert not calendar_sources.claim(session, source_id=source.id, now=source.next_at).stale
    later = make_instrument(session, facility=facility)
    assert calendar_sources.claim(session, source_id=source.id, now=source.next_at).stale
    assert {row[0] for row in rows(session, source)} == {furnace.id, pool.id}
    take(session, source, entry(1, 3))
    assert {row[0] for row in rows(session, source)} == {furnace.id, pool.id, later.id}


def test_of_an_instrument_with_more_or_fewer_units_all_are_taken(session, tam, ada, facility, pool):
    source = add(session, tam, facility, pool)
    take(session, source, entry(1, 3))
    for units in (2, 6):
        occupation.resize(session, instrument=pool, units=units, now=NOW)
        session.flush()
        assert session.scalar(select(Occupation.quantity).where(Occupation.source_id == source.id)) == units
    with pytest.raises(Refused):
        place(session, ada, pool)


def test_only_differences_are_written_and_one_revision_counts_them(session, tam, facility, furnace, pool):
    source = add(session, tam, facility)
    plan = [entry(n, n + 0.5, f"e{n}") for n in range(1, 9)]
    take(session, source, *plan)
    before = revision(session, furnace), revision(session, pool)
    query = select(Occupation.id, Occupation.starts_at)
    written = set(session.execute(query))
    take(session, source, *plan)
    assert (revision(session, furnace), revision(session, pool)) == before
    take(session, source, *plan[:-1], entry(20, 21, "e9"), entry(30, 31, "e10"))
    assert (revision(session, furnace), revision(session, pool)) == (before[0] + 1, before[1] + 1)
    assert len(written & set(session.execute(query))) == 14
    assert session.scalar(select(func.count()).select_from(OutsideEvent)) == 9


def test_of_a_roster_the_time_counts_in_which_nobody_is_there(session, tam, ada, facility, furnace):
    source = add(session, tam, facility, furnace, means=Means.ROSTER)
    take(session, source, entry(1, 4), entry(5, 8, "e2"))
    place(session, ada, furnace, 1, 4)
    place(session, ada, furnace, 5, 6)
    for start, end in ((4, 5), (3.5, 5), (8, 9), (400, 401)):
        with pytest.raises(Refused):
            place(session, ada, furnace, start, end)


def test_an_empty_roster_does_not_close_everything(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace, means=Means.ROSTER)
    take(session, source)
    assert rows(session, source) == []
    assert (state_of(source), source.failure) == (SourceState.FAILING, "empty_roster")


def test_what_has_passed_stays_in_the_ledger_when_the_event_is_gone(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace)
    take(session, source, entry(-1, 1), entry(2, 3, "e2"))
    take(session, source, entry(2, 3, "e2"), now=NOW + timedelta(minutes=30))
    assert rows(session, source) == [(furnace.id, -1, 0.5), (furnace.id, 2, 3)]
    take(session, source, now=NOW + timedelta(hours=10))
    assert rows(session, source) == [(furnace.id, -1, 0.5), (furnace.id, 2, 3)]


def test_what_is_longer_than_was_said_is_longer_in_the_ledger(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace)
    take(session, source, entry(-1, 1))
    take(session, source, entry(-1, 2))
    assert rows(session, source) == [(furnace.id, -1, 2)]


# --- what is doubted ----------------------------------------------------------------------------------------


def test_most_of_it_gone_is_kept_back_until_a_manager_says_that_it_is_meant_so(
    session, tam, facility, furnace
):
    source = add(session, tam, facility, furnace)
    plan = [entry(n, n + 0.5, f"e{n}") for n in range(1, 9)]
    take(session, source, *plan, etag='"1"')
    take(session, source, plan[0])
    assert len(rows(session, source)) == 8
    assert (source.failure, source.held_back, source.etag) == ("fewer", 1, '"1"')
    calendar_sources.refresh(session, actor=tam, source_id=source.id, accept_fewer=True, now=NOW)
    assert source.etag == ""
    take(session, source, plan[0])
    assert len(rows(session, source)) == 1
    assert (source.failure, source.held_back, source.accept_fewer) == ("", None, False)


def test_too_much_for_the_ledger_is_not_written(session, tam, facility, furnace, monkeypatch):
    monkeypatch.setattr(calendar_sources.rules, "MOST_ROWS", 2)
    source = add(session, tam, facility, furnace)
    take(session, source, *(entry(n, n + 0.5, f"e{n}") for n in range(1, 4)))
    assert (rows(session, source), source.failure) == ([], "too_much")


def test_failures_are_tried_again_the_later_the_more_and_told_once(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace)
    take(session, source, entry(1, 3))
    now, pauses = NOW, []
    for _ in range(14):
        calendar_sources.fail(session, source_id=source.id, code="status", figure=503, now=now)
        pauses.append(source.next_at - now)
        now = source.next_at
    assert timedelta(minutes=4) < pauses[0] < timedelta(minutes=6)
    assert all(a < b for a, b in itertools.pairwise(pauses[:9]))
    assert timedelta(hours=21) < pauses[-1] < timedelta(hours=27)
    assert len(rows(session, source)) == 1
    assert told(session, "failing") == 1
    assert state_of(source) is SourceState.FAILING
    calendar_sources.unchanged(session, source_id=source.id, now=now)
    assert state_of(source) is SourceState.WORKING


# --- whom it meets ------------------------------------------------------------------------------------------


def test_bookings_in_busy_time_are_told_once_and_stay(session, tam, ada, facility, furnace):
    first = place(session, ada, furnace)
    source = add(session, tam, facility, furnace)
    take(session, source, entry(0, 3))
    assert [one.id for one in clashes(session, source)] == [first.id]
    take(session, source, entry(0, 3), entry(30, 31, "e2"))
    assert told(session, "clashes") == 1
    second = place(session, ada, furnace, 40, 41)
    take(session, source, entry(0, 3), entry(40, 42, "e3"))
    assert [one.id for one in clashes(session, source)] == [first.id, second.id]
    assert told(session, "clashes") == 2
    assert {first.state, second.state} == {State.CONFIRMED}
    take(session, source, entry(40, 42, "e3"))
    assert told(session, "clashes") == 2


def clashes(session, source):
    return calendar_sources.clashes(session, source_ids=[source.id], now=NOW).get(source.id, [])


def test_other_places_are_looked_for_whom_it_meets(session, tam, ada, facility, furnace):
    booked = place(session, ada, furnace)
    source = add(session, tam, facility, furnace)
    take(session, source, entry(0, 3), entry(50, 60, "e2"))
    found = calendar_sources.find_places(session, actor=tam, source_id=source.id, now=NOW)
    assert set(found.struck["bookings"]) == {str(booked.id)}
    assert found.struck["down"] == [[furnace.id, *(at.isoformat() for at in hours(0, 3))]]
    again = calendar_sources.find_places(session, actor=tam, source_id=source.id, now=NOW)
    assert (source.replan_id, found.state.value) == (again.id, "over")
    calendar_sources.remove(session, actor=tam, source_id=source.id, now=NOW)
    assert replans.get(session, actor=tam, replan_id=again.id).state.value == "over"


def test_with_a_station_its_line_is_not_to_be_had(session, tam, ada, facility, furnace):
    line = make_instrument(session, facility=facility, stations=[furnace])
    booked = place(session, ada, line)
    source = add(session, tam, facility, furnace)
    take(session, source, entry(0, 3))
    assert [one.id for one in clashes(session, source)] == [booked.id]
    found = calendar_sources.find_places(session, actor=tam, source_id=source.id, now=NOW)
    assert [place for place, _, _ in found.struck["down"]] == [line.id]


def test_where_nobody_is_met_no_other_places_are_looked_for(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace)
    with pytest.raises(Refused):
        calendar_sources.find_places(session, actor=tam, source_id=source.id, now=NOW)


def test_a_preview_says_what_would_count_and_whom_it_would_meet(session, tam, ada, facility, furnace):
    furnace.cleanup_minutes = 60
    session.flush()
    booked = place(session, ada, furnace, 0.25, 0.5)  # its clean-up goes on into the event
    made = drafted(session, tam, facility, furnace)
    found = calendar_sources.preview(
        session,
        draft=made,
        reading=reading(
            entry(1, 3),
            entry(24 * 40, 24 * 40 + 1, "far"),
            entry(1, 2, "label", transparent=True, all_day=True),
            entry(1, 2, "off", status="CANCELLED"),
            entry(1, 2, "free", transparent=True),
        ),
        now=NOW,
    )
    assert [one.uid for one in found.entries] == ["e1"]
    assert (found.total, found.ignored) == (2, 3)
    assert [one.id for one in found.met] == [booked.id]
    assert (
        session.scalar(select(func.count()).select_from(Occupation).where(Occupation.source_id.is_not(None)))
        == 0
    )


# --- keeping ------------------------------------------------------------------------------------------------


def test_pausing_and_removing_give_the_time_back(session, tam, ada, facility, furnace):
    source = add(session, tam, facility, furnace)
    take(session, source, entry(1, 3))
    calendar_sources.pause(session, actor=tam, source_id=source.id, now=NOW)
    assert rows(session, source) == []
    assert calendar_sources.due(session, now=NOW + timedelta(days=9)) == []
    take(session, source, entry(1, 3))
    assert rows(session, source) == []
    calendar_sources.resume(session, actor=tam, source_id=source.id, now=NOW)
    assert calendar_sources.due(session, now=NOW) == [source.id]
    take(session, source, entry(1, 3))
    calendar_sources.remove(session, actor=tam, source_id=source.id, now=NOW)
    assert rows(session, source) == []
    assert (source.url, source.copy) == ("", None)
    assert session.scalar(select(func.count()).select_from(CameFree)) == 2
    place(session, ada, furnace)
    with pytest.raises(NotFound):
        calendar_sources.one(session, actor=tam, source_id=source.id)


def test_a_calendar_is_claimed_by_one(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace)
    take(session, source, entry(1, 3), data=b"BEGIN", etag='"1"')
    later = source.next_at
    errand = calendar_sources.claim(session, source_id=source.id, now=later)
    assert (errand.url, errand.etag, errand.copy, errand.stale) == (URL, '"1"', b"BEGIN", False)
    assert calendar_sources.claim(session, source_id=source.id, now=later) is None
    assert calendar_sources.claim(session, source_id=source.id, now=later + timedelta(hours=6)).stale


def test_an_address_stands_in_no_event(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace)
    calendar_sources.fail(session, source_id=source.id, code="status", figure=404, now=NOW)
    calendar_sources.remove(session, actor=tam, source_id=source.id, now=NOW)
    assert all("9f2c" not in str(event.data) for event in session.scalars(select(Event)))


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"url": ""}, "url", "required"),
        ({"url": "file:///etc/passwd"}, "url", "not_a_calendar_address"),
        ({"url": "http://127.1/x.ics"}, "url", "not_public"),
        ({"url": "webcal://[::ffff:10.0.0.1]/x.ics"}, "url", "not_public"),
        ({"url": "http://a:b@example.org/x.ics"}, "url", "malformed"),
        ({"name": " "}, "name", "required"),
        ({"floating_zone": "Mars/Base"}, "floating_zone", "unknown"),
        ({"floating_zone": "../../etc/passwd"}, "floating_zone", "unknown"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(session, tam, facility, given, field, code):
    with pytest.raises(Invalid) as invalid:
        drafted(session, tam, facility, **given)
    assert invalid.value.errors == {field: code}


def test_an_instrument_of_another_facility_is_not_blocked_and_no_address_is_kept_twice(
    session, tam, facility, furnace
):
    other = make_instrument(session)
    with pytest.raises(Invalid):
        drafted(session, tam, facility, furnace, other)
    add(session, tam, facility, furnace)
    with pytest.raises(Invalid):
        add(session, tam, facility)


def test_an_outsider_keeps_none(session, tam, facility, furnace):
    source = add(session, tam, facility, furnace)
    cleo = cast.actor_of(session, cast.cleo(session))
    for attempt in (
        lambda: drafted(session, cleo, facility),
        lambda: calendar_sources.listing(session, actor=cleo, facility_id=facility.id),
        lambda: calendar_sources.one(session, actor=cleo, source_id=source.id),
        lambda: calendar_sources.coming(session, actor=cleo, source_id=source.id, now=NOW),
        lambda: calendar_sources.refresh(session, actor=cleo, source_id=source.id, now=NOW),
        lambda: calendar_sources.pause(session, actor=cleo, source_id=source.id, now=NOW),
        lambda: calendar_sources.remove(session, actor=cleo, source_id=source.id, now=NOW),
        lambda: calendar_sources.find_places(session, actor=cleo, source_id=source.id, now=NOW),
    ):
        with pytest.raises(Forbidden):
            attempt()


# --- changing a subscription ----------------------------------------------------------------------


def amend(session, tam, facility, source, *places, said=None, **more):
    given = {"url": source.url, "name": source.name} | more
    draft = drafted(session, tam, facility, *places, **given)
    return calendar_sources.amend(session, actor=tam, source_id=source.id, draft=draft, reading=said, now=NOW)


def test_what_a_changed_subscription_says_counts_at_once_and_elsewhere_no_more(
    session, tam, ada, facility, furnace, pool
):
    source = add(session, tam, facility, furnace)
    take(session, source, entry(1, 3), entry(5, 6, "e2"), entry(8, 9, "e3"), entry(10, 11, "e4"))
    booking = place(session, ada, pool, 1, 2)
    # Another name changes nothing else, and nothing is read for it.
    amend(session, tam, facility, source, furnace, name="Roster of the pool")
    assert (source.name, len(rows(session, source)), source.copy is not None) == (
        "Roster of the pool",
        4,
        True,
    )
    with pytest.raises(Invalid):
        amend(session, tam, facility, source, pool)
    # Another address and other instruments: what it says is little, and meant so.
    amend(session, tam, facility, source, pool, url=URL + "?2", said=reading(entry(1, 4, "new")))
    assert rows(session, source) == [(pool.id, 1, 4)]
    assert (source.url, source.next_at, source.etag) == (URL + "?2", NOW, "")
    met = calendar_sources.clashes(session, source_ids=[source.id], now=NOW)[source.id]
    assert met == [booking]
    assert place(session, ada, furnace, 5, 6).state is State.CONFIRMED
    take(session, source, entry(1, 4, "new"))
    assert (state_of(source), source.accept_fewer) == (SourceState.WORKING, False)
    assert told(session, "changed") == 2


def test_places_proposed_because_of_what_it_said_before_are_taken_back(
    session, tam, ada, facility, furnace, pool
):
    source = add(session, tam, facility, furnace)
    place(session, ada, furnace)
    take(session, source, entry(1, 3))
    replan = calendar_sources.find_places(session, actor=tam, source_id=source.id, now=NOW)
    amend(session, tam, facility, source, pool, said=reading(entry(1, 3)))
    assert (replan.state, source.replan_id) == (ReplanState.OVER, None)


def test_only_its_managers_change_it_and_to_no_address_that_is_there(session, tam, ada, facility, furnace):
    source = add(session, tam, facility, furnace)
    other = add(session, tam, facility, furnace, url=URL + "?2")
    with pytest.raises(Invalid) as error:
        amend(session, tam, facility, other, furnace, url=URL, said=reading())
    assert error.value.errors == {"url": "taken"}
    draft = drafted(session, tam, facility, furnace)
    with pytest.raises(Forbidden):
        calendar_sources.amend(session, actor=ada, source_id=source.id, draft=draft, reading=None, now=NOW)
    calendar_sources.pause(session, actor=tam, source_id=source.id, now=NOW)
    amend(session, tam, facility, source, furnace, means=Means.ROSTER)
    assert (source.means, rows(session, source)) == (Means.ROSTER, [])

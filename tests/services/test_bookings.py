"""Placing, changing and ending bookings on both engines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import alternatives, approvals, availability, bookings, occupation
from models import Booking, Event, Instrument, InstrumentPrice, Membership, Occupation, Part, RequestKey
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


def span(start: float, end: float) -> Span:
    """Hours after NOW."""
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


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
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    session.flush()
    return cast.actor_of(session, person)


def place(session, actor, instrument, start=1, end=2, quantity=1, **more) -> Booking:
    return bookings.place(
        session, actor=actor, items=[Item(instrument.id, span(start, end), quantity)], now=NOW, **more
    )


def codes(refused) -> list[str]:
    return [reason.code for reason in refused.value.reasons]


def rows(session, booking) -> int:
    query = select(func.count()).select_from(Occupation).where(Occupation.booking_id == booking.id)
    return session.scalar(query)


def kinds(session, booking) -> list[str]:
    return list(session.scalars(select(Event.kind).where(Event.booking_id == booking.id).order_by(Event.id)))


def test_a_booking_takes_its_time_with_set_up_and_clean_up(session, ada):
    instrument = make_instrument(session, setup_minutes=30, cleanup_minutes=15)
    booking = place(session, ada, instrument)
    row = session.scalars(select(Occupation).where(Occupation.booking_id == booking.id)).one()
    assert Span(row.use_starts_at, row.use_ends_at) == span(1, 2)
    assert Span(row.starts_at, row.ends_at) == span(0.5, 2.25)
    assert row.exclusive
    assert booking.state is State.CONFIRMED
    assert kinds(session, booking) == ["booking.placed"]


def test_the_revision_of_the_instrument_moves_with_every_change_of_its_calendar(session, ada, sem):
    def revision() -> int:
        return session.scalar(select(Instrument.revision).where(Instrument.id == sem.id))

    seen = [revision()]
    booking = place(session, ada, sem)
    seen.append(revision())
    bookings.change(
        session, actor=ada, booking_id=booking.id, version=1, items=[Item(sem.id, span(3, 4))], now=NOW
    )
    seen.append(revision())
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    seen.append(revision())
    assert sorted(set(seen)) == seen


def test_taken_time_is_refused_and_nothing_is_written(session, ada, cleo, sem):
    place(session, ada, sem)
    before = session.scalar(select(func.count()).select_from(Booking))
    with pytest.raises(Refused) as refused:
        place(session, cleo, sem, 1.5, 3)
    assert codes(refused) == ["taken"]
    assert refused.value.items[0].span == span(1.5, 3)
    assert session.scalar(select(func.count()).select_from(Booking)) == before


def test_neighbours_may_touch(session, ada, cleo, sem):
    place(session, ada, sem, 1, 2)
    place(session, cleo, sem, 2, 3)


def test_parts_of_a_capacity_add_up(session, ada, cleo):
    channels = make_instrument(session, units=512)
    place(session, ada, channels, quantity=500)
    place(session, cleo, channels, quantity=12)
    with pytest.raises(Refused) as refused:
        place(session, cleo, channels, quantity=1)
    assert refused.value.reasons[0].params["free"] == 0


def test_a_line_takes_its_stations_and_a_station_blocks_its_line(session, ada, cleo):
    facility = make_facility(session)
    line, reactor, dryer = (make_instrument(session, facility=facility) for _ in range(3))
    session.add_all([Part(line_id=line.id, station_id=s.id) for s in (reactor, dryer)])
    session.flush()
    booking = place(session, ada, line, 1, 4)
    assert rows(session, booking) == 3
    with pytest.raises(Refused):
        place(session, cleo, reactor, 3, 5)
    place(session, cleo, dryer, 5, 6)
    with pytest.raises(Refused) as refused:
        place(session, ada, line, 5, 7)
    assert [r.params["instrument"] for r in refused.value.reasons] == [dryer.code]
    assert not any(
        free.start < span(5, 6).end and span(5, 6).start < free.end
        for free in availability.free(session, actor=ada, code=line.code, within=span(0, 10), now=NOW)
    )


def test_several_instruments_are_all_or_nothing(session, ada, cleo):
    one, two = make_instrument(session), make_instrument(session)
    place(session, cleo, two, 1, 2)
    items = [Item(one.id, span(1, 2)), Item(two.id, span(1.5, 3))]
    with pytest.raises(Refused):
        bookings.place(session, actor=ada, items=items, now=NOW)
    assert session.scalar(select(func.count()).where(Occupation.instrument_id == one.id)) == 0
    items = [Item(one.id, span(1, 2)), Item(two.id, span(2, 3))]
    booking = bookings.place(session, actor=ada, items=items, now=NOW)
    assert (booking.starts_at, booking.ends_at) == tuple(span(1, 3))


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([], {"items": "required"}),
        ([Item(1, span(2, 1))], {"end": "inverted"}),
        ([Item(1, span(1, 1))], {"end": "inverted"}),
        ([Item(1, span(1, 2), 0)], {"quantity": "too_small"}),
        ([Item(1, span(1, 2))] * 2, {"items": "duplicate"}),
        ([Item(1, Span(NOW, datetime(9999, 1, 1, tzinfo=UTC)))], {"start": "out_of_range"}),
    ],
)
def test_items_without_sense_are_invalid(session, ada, items, error):
    with pytest.raises(Invalid) as invalid:
        bookings.place(session, actor=ada, items=items, now=NOW)
    assert invalid.value.errors == error


def test_an_unknown_instrument_and_a_hidden_one_are_both_not_found(session, ada, tam):
    hidden = make_instrument(session, published=False)
    for place_id in (hidden.id, 999_999):
        with pytest.raises(NotFound):
            bookings.place(session, actor=ada, items=[Item(place_id, span(1, 2))], now=NOW)


def test_years_are_refused_without_effort(session, ada, sem):
    with pytest.raises(Refused) as refused:
        bookings.place(session, actor=ada, items=[Item(sem.id, span(1, 24 * 365 * 20))], now=NOW)
    assert codes(refused) == ["too_long"]


def test_a_key_makes_one_booking_however_often_it_comes(session, ada, cleo, sem):
    first = place(session, ada, sem, key="k", fingerprint="a")
    again = place(session, ada, sem, key="k", fingerprint="a")
    assert again.id == first.id
    with pytest.raises(bookings.KeyReused):
        place(session, ada, sem, 3, 4, key="k", fingerprint="b")
    assert place(session, cleo, sem, 5, 6, key="k", fingerprint="c").id != first.id


def test_a_key_is_forgotten_after_a_day(session, ada, sem):
    first = place(session, ada, sem, key="k", fingerprint="a")
    key = session.get_one(RequestKey, (ada.person_id, "k"))
    key.created_at = NOW - timedelta(hours=25)
    session.flush()
    second = place(session, ada, sem, 3, 4, key="k", fingerprint="b")
    assert second.id != first.id


def test_move_lengthen_and_shorten(session, ada, cleo, sem):
    booking = place(session, ada, sem, 1, 2)
    place(session, cleo, sem, 3, 4)
    for version, (start, end) in enumerate([(1, 3), (1, 1.5), (4, 6), (4.5, 6.5)], start=1):
        moved = bookings.change(
            session,
            actor=ada,
            booking_id=booking.id,
            version=version,
            items=[Item(sem.id, span(start, end))],
            now=NOW,
        )
        assert (moved.starts_at, moved.ends_at) == tuple(span(start, end))
        assert (moved.version, moved.sequence) == (version + 1, version)
        assert rows(session, booking) == 1
    with pytest.raises(Refused) as refused:
        bookings.change(
            session, actor=ada, booking_id=booking.id, version=None, items=[Item(sem.id, span(2, 5))], now=NOW
        )
    assert codes(refused) == ["taken"]
    session.expire_all()
    assert rows(session, booking) == 1


def test_a_move_to_another_instrument(session, ada, sem):
    other = make_instrument(session)
    booking = place(session, ada, sem)
    moved = bookings.change(
        session, actor=ada, booking_id=booking.id, version=1, items=[Item(other.id, span(1, 2))], now=NOW
    )
    assert [item.instrument_id for item in moved.items] == [other.id]
    place(session, ada, sem)


def test_a_stale_version_changes_nothing(session, ada, sem):
    booking = place(session, ada, sem)
    bookings.change(session, actor=ada, booking_id=booking.id, version=1, purpose="SEM of catalysts", now=NOW)
    with pytest.raises(bookings.Stale):
        bookings.change(session, actor=ada, booking_id=booking.id, version=1, purpose="other", now=NOW)


def test_a_change_that_changes_nothing_leaves_no_trace(session, ada, sem):
    booking = place(session, ada, sem)
    same = bookings.change(
        session, actor=ada, booking_id=booking.id, version=1, items=[Item(sem.id, span(1, 2))], now=NOW
    )
    assert same.version == 1
    assert kinds(session, booking) == ["booking.placed"]


def test_a_cancelled_booking_gives_its_time_back_and_stays(session, ada, cleo, sem):
    booking = place(session, ada, sem)
    gone = bookings.cancel(session, actor=ada, booking_id=booking.id, reason="no sample", now=NOW)
    assert gone.state is State.CANCELLED
    assert rows(session, booking) == 0
    place(session, cleo, sem)
    with pytest.raises(WrongMove):
        bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    lines = bookings.history(session, actor=ada, booking_id=booking.id)
    assert [line.kind for line in lines] == ["booking.placed", "booking.cancelled"]
    assert lines[1].data["reason"] == "no sample"
    assert bookings.get(session, actor=ada, booking_id=booking.id).items


def test_what_has_begun_only_the_manager_cancels(session, ada, tam, sem):
    booking = place(session, ada, sem)
    during = NOW + timedelta(hours=1.5)
    with pytest.raises(Refused) as refused:
        bookings.cancel(session, actor=ada, booking_id=booking.id, now=during)
    assert codes(refused) == ["already_started"]
    assert bookings.cancel(session, actor=tam, booking_id=booking.id, now=during).state is State.CANCELLED


def test_an_outsider_finds_nothing(session, ada, cleo, sem):
    booking = place(session, ada, sem)
    for command in (
        lambda: bookings.get(session, actor=cleo, booking_id=booking.id),
        lambda: bookings.history(session, actor=cleo, booking_id=booking.id),
        lambda: bookings.cancel(session, actor=cleo, booking_id=booking.id, now=NOW),
        lambda: bookings.change(session, actor=cleo, booking_id=booking.id, version=1, purpose="x", now=NOW),
        lambda: bookings.check_in(session, actor=cleo, booking_id=booking.id, now=NOW),
        lambda: approvals.approve(session, actor=cleo, booking_id=booking.id, now=NOW),
        lambda: bookings.get(session, actor=cleo, booking_id=uuid4()),
    ):
        with pytest.raises(NotFound):
            command()
    assert bookings.listing(session, actor=cleo)[1] == 0


def test_somebody_who_may_see_is_told_that_approval_is_not_theirs(session, ada, sem):
    sem.approval_required = True
    session.flush()
    booking = place(session, ada, sem)
    with pytest.raises(Forbidden):
        approvals.approve(session, actor=ada, booking_id=booking.id, now=NOW)


def test_a_request_holds_its_time_until_it_is_decided(session, ada, cleo, tam, sem):
    sem.approval_required = True
    session.flush()
    booking = place(session, ada, sem)
    assert booking.state is State.REQUESTED
    with pytest.raises(Refused):
        place(session, cleo, sem)
    assert [b.id for b in approvals.inbox(session, actor=tam)] == [booking.id]
    assert approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW).state is State.CONFIRMED
    with pytest.raises(WrongMove):
        approvals.reject(session, actor=tam, booking_id=booking.id, now=NOW)
    assert approvals.inbox(session, actor=tam) == []


def test_a_rejected_request_gives_its_time_back(session, ada, cleo, tam, sem):
    sem.approval_required = True
    session.flush()
    booking = place(session, ada, sem)
    approvals.reject(session, actor=tam, booking_id=booking.id, comment="no training", now=NOW)
    assert booking.state is State.REJECTED
    place(session, cleo, sem)


def test_a_managers_own_booking_needs_no_approval(session, tam, sem):
    sem.approval_required = True
    session.flush()
    assert place(session, tam, sem).state is State.CONFIRMED


def test_an_approved_booking_that_grows_is_asked_for_again_and_one_that_shrinks_is_not(
    session, ada, tam, sem
):
    sem.approval_required = True
    session.flush()
    booking = place(session, ada, sem, 1, 3)
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    shorter = [Item(sem.id, span(1, 2))]
    bookings.change(session, actor=ada, booking_id=booking.id, version=None, items=shorter, now=NOW)
    assert booking.state is State.CONFIRMED
    longer = [Item(sem.id, span(1, 4))]
    bookings.change(session, actor=ada, booking_id=booking.id, version=None, items=longer, now=NOW)
    assert booking.state is State.REQUESTED


def test_check_in_and_out_give_back_what_is_left(session, ada, cleo):
    instrument = make_instrument(session, setup_minutes=30, cleanup_minutes=30)
    booking = place(session, ada, instrument, 1, 5)
    with pytest.raises(Refused) as refused:
        bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW)
    assert codes(refused) == ["not_open_yet"]
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + timedelta(minutes=30))
    assert booking.state is State.CHECKED_IN
    bookings.check_out(session, actor=ada, booking_id=booking.id, now=NOW + timedelta(hours=2))
    assert booking.state is State.ENDED
    row = session.scalars(select(Occupation).where(Occupation.booking_id == booking.id)).one()
    assert (row.use_ends_at, row.ends_at) == (span(0, 2).end, span(0, 2.5).end)
    bookings.feedback(
        session, actor=ada, booking_id=booking.id, rating=5, comment="fine", now=NOW + timedelta(hours=3)
    )
    assert booking.usage.rating == 5


def test_feedback_waits_for_the_use(session, ada, sem):
    booking = place(session, ada, sem)
    with pytest.raises(WrongMove):
        bookings.feedback(session, actor=ada, booking_id=booking.id, rating=3, now=NOW)


def test_companies_are_confidential_unless_they_say_otherwise(session, ada, cleo, sem):
    assert not place(session, ada, sem, 1, 2).confidential
    assert place(session, cleo, sem, 2, 3).confidential
    assert not place(session, cleo, sem, 3, 4, confidential=False).confidential


def test_the_timeline_is_masked_for_others(session, ada, cleo, tam, sem):
    place(session, cleo, sem, purpose="secret alloy")

    def bar(actor):
        (found,) = availability.occupations(
            session, actor=actor, instrument_ids=[sem.id], within=span(0, 9), now=NOW
        )
        return found

    assert (bar(ada).title, bar(ada).booking_id, bar(ada).mine) == (None, None, False)
    assert bar(cleo).title == bar(tam).title == "secret alloy"
    assert bar(cleo).mine


def test_a_dry_run_says_what_would_happen_and_writes_nothing(session, ada, cleo, sem):
    session.add_all(
        [
            InstrumentPrice(
                instrument_id=sem.id,
                customer_class="external",
                unit="hour",
                amount=Decimal(350),
                valid_from=NOW.date(),
            )
        ]
    )
    session.flush()
    verdict = bookings.dry_run(session, actor=ada, items=[Item(sem.id, span(1, 3))], now=NOW)
    assert verdict.allowed
    assert verdict.estimate.total == Decimal("700.00")
    booking = place(session, ada, sem, 1, 3)
    refused = bookings.dry_run(session, actor=cleo, items=[Item(sem.id, span(2, 4))], now=NOW)
    assert [reason.code for reason in refused.reasons] == ["taken"]
    own = bookings.dry_run(
        session, actor=ada, items=[Item(sem.id, span(2, 4))], booking_id=booking.id, now=NOW
    )
    assert own.allowed
    assert session.scalar(select(func.count()).select_from(Booking)) == 1


def test_a_hold_that_has_run_out_is_ignored_by_all_and_gone_with_the_next_booking(session, ada, cleo, sem):
    held = Occupation(
        instrument_id=sem.id,
        starts_at=span(1, 2).start,
        ends_at=span(1, 2).end,
        use_starts_at=span(1, 2).start,
        use_ends_at=span(1, 2).end,
        exclusive=True,
        kind=Kind.HOLD,
        expires_at=NOW + timedelta(minutes=5),
    )
    session.add(held)
    session.flush()
    with pytest.raises(Refused):
        place(session, cleo, sem)
    later = NOW + timedelta(minutes=6)
    assert bookings.dry_run(session, actor=cleo, items=[Item(sem.id, span(1, 2))], now=later).allowed
    bookings.place(session, actor=cleo, items=[Item(sem.id, span(1, 2))], now=later)
    assert session.scalar(select(func.count()).where(Occupation.kind == Kind.HOLD)) == 0


def test_expired_holds_are_released_by_the_job(session, sem):
    session.add(
        Occupation(
            instrument_id=sem.id,
            starts_at=span(1, 2).start,
            ends_at=span(1, 2).end,
            use_starts_at=span(1, 2).start,
            use_ends_at=span(1, 2).end,
            kind=Kind.HOLD,
            expires_at=NOW,
        )
    )
    session.flush()
    assert occupation.release_expired(session, now=NOW - timedelta(seconds=1)) == 0
    assert occupation.release_expired(session, now=NOW) == 1


def test_a_booking_for_a_project_one_does_not_work_for_is_not_found(session, ada, sem):
    with pytest.raises(NotFound):
        place(session, ada, sem, project_id=uuid4())


def test_alternatives_can_really_be_booked(session, ada, cleo):
    facility = make_facility(session)
    sem, twin = (
        make_instrument(session, facility=facility, category_code=None, cleanup_minutes=30) for _ in range(2)
    )
    place(session, ada, sem, 1, 3)
    with pytest.raises(Refused) as refused:
        place(session, cleo, sem, 2, 4)
    found = alternatives.find(session, actor=cleo, wish=refused.value.wish)
    assert {alternative.why for alternative in found} == {"nearest", "shorter"}
    assert found[0].start == span(3.5, 4).start
    for alternative in found[:1]:
        item = Item(alternative.instrument_id, Span(alternative.start, alternative.end))
        bookings.place(session, actor=cleo, items=[item], now=NOW)
    assert twin.id != sem.id

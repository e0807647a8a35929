"""Holds on both engines: kept for one person for five minutes, and over without any job."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking import i18n, wording
from booking.domain.access import NotFound
from booking.domain.occupation import Item, Kind, Process
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import availability, bookings, finder, holds, occupation
from booking.services.catalogue import Filters
from booking.services.finder import Question
from models import Hold, Instrument, Occupation, Utility
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def span(start: float, end: float) -> Span:
    """Hours after NOW."""
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def cleo(session):
    return cast.actor_of(session, cast.cleo(session))


def hold(session, actor, instrument, start=1, end=2, quantity=1, now=NOW, **more):
    return holds.take(
        session, actor=actor, items=[Item(instrument.id, span(start, end), quantity)], now=now, **more
    )


def place(session, actor, instrument, start=1, end=2, quantity=1, now=NOW, **more):
    items = [Item(instrument.id, span(start, end), quantity)]
    return bookings.place(session, actor=actor, items=items, now=now, **more)


def held(session) -> int:
    return session.scalar(select(func.count()).where(Occupation.kind == Kind.HOLD))


def codes(refused) -> list[str]:
    return [reason.code for reason in refused.value.reasons]


def test_what_is_held_is_taken_for_others_and_free_for_its_person(session, ada, cleo, sem):
    hold(session, ada, sem)
    with pytest.raises(Refused) as refused:
        place(session, cleo, sem)
    assert codes(refused) == ["taken"]
    assert bookings.dry_run(session, actor=ada, items=[Item(sem.id, span(1, 2))], now=NOW).allowed
    booking = place(session, ada, sem, 1, 2.5)
    rows = session.scalars(select(Occupation)).all()
    assert [(row.kind, row.booking_id) for row in rows] == [(Kind.BOOKING, booking.id)]


def test_a_person_holds_one_time_at_once(session, ada, cleo, sem):
    first = hold(session, ada, sem)
    second = hold(session, ada, make_instrument(session))
    assert first.id != second.id
    assert held(session) == 1
    place(session, cleo, sem)
    assert session.scalars(select(Hold.id)).all() == [second.id]


def test_the_time_of_one_s_own_hold_can_be_shifted(session, ada, sem):
    hold(session, ada, sem, 1, 2)
    hold(session, ada, sem, 1.5, 2.5)
    row = session.scalars(select(Occupation)).one()
    assert Span(row.starts_at, row.ends_at) == span(1.5, 2.5)


def test_a_hold_is_judged_as_a_booking_is(session, ada, cleo, sem):
    place(session, cleo, sem)
    with pytest.raises(Refused) as refused:
        hold(session, ada, sem, 1, 2.1)
    assert set(codes(refused)) == {"off_step", "taken"}
    assert held(session) == 0


def test_a_hold_that_ran_out_is_nothing_to_any_reader_though_no_job_ran(session, ada, cleo, sem):
    kept = hold(session, ada, sem)
    assert kept.expires_at == LATER
    just_before = LATER - timedelta(seconds=1)
    within = span(0, 4)

    def seen(now):
        free = availability.free(session, actor=cleo, code=sem.code, within=within, now=now)
        bars = availability.occupations(session, actor=cleo, instrument_ids=[sem.id], within=within, now=now)
        found = finder.find(
            session,
            actor=cleo,
            question=Question(duration=timedelta(hours=1), within=span(1, 4), filters=Filters()),
            now=now,
        ).offers
        return [(one.start, one.end) for one in free], [bar.kind for bar in bars], found[0].start

    assert seen(just_before) == (
        [(just_before, span(1, 2).start), span(2, 4)],
        [Kind.HOLD],
        span(2, 3).start,
    )
    assert seen(LATER) == ([(LATER, span(1, 4).end)], [], span(1, 2).start)
    with pytest.raises(Refused):
        place(session, cleo, sem, now=just_before)
    place(session, cleo, sem, now=LATER)
    assert held(session) == 0


def test_another_may_hold_what_ran_out(session, ada, cleo, sem):
    hold(session, ada, sem)
    hold(session, cleo, sem, now=LATER)
    with pytest.raises(Refused):
        place(session, ada, sem, now=LATER)


def test_a_hold_is_renewed_once_and_not_after_it_ran_out(session, ada, cleo, sem):
    kept = hold(session, ada, sem)
    with pytest.raises(NotFound):
        holds.renew(session, actor=cleo, hold_id=kept.id, now=NOW)
    at = NOW + timedelta(minutes=4)
    assert holds.renew(session, actor=ada, hold_id=kept.id, now=at).expires_at == at + timedelta(minutes=5)
    with pytest.raises(Refused):
        place(session, cleo, sem, now=LATER)
    with pytest.raises(Refused) as refused:
        holds.renew(session, actor=ada, hold_id=kept.id, now=at)
    assert codes(refused) == ["hold_renewed"]
    with pytest.raises(Refused) as refused:
        holds.renew(session, actor=ada, hold_id=kept.id, now=NOW + timedelta(minutes=9))
    assert codes(refused) == ["hold_over"]


def test_the_reasons_are_said():
    i18n.choose("en")
    assert wording.sentence("hold_over", {}) == "The time is no longer held for you. Check it again."
    assert (
        wording.sentence("hold_renewed", {"minutes": 5})
        == "The time can be held for another 5 min only once."
    )


def test_a_hold_given_back_is_free_at_once(session, ada, cleo, sem):
    kept = hold(session, ada, sem)
    with pytest.raises(NotFound):
        holds.release(session, actor=cleo, hold_id=kept.id, now=NOW)
    holds.release(session, actor=ada, hold_id=kept.id, now=NOW)
    place(session, cleo, sem)


def test_a_change_holds_only_what_the_booking_lacks(session, ada, cleo, sem):
    booking = place(session, ada, sem, 1, 3)
    hold(session, ada, sem, 2, 4, booking_id=booking.id)
    row = session.scalars(select(Occupation).where(Occupation.kind == Kind.HOLD)).one()
    assert Span(row.starts_at, row.ends_at) == span(3, 4)
    with pytest.raises(Refused):
        place(session, cleo, sem, 3, 4)
    items = [Item(sem.id, span(2, 4))]
    assert bookings.dry_run(session, actor=ada, items=items, booking_id=booking.id, now=NOW).allowed
    bookings.change(session, actor=ada, booking_id=booking.id, version=None, items=items, now=NOW)
    rows = session.scalars(select(Occupation)).all()
    assert [(row.kind, Span(row.starts_at, row.ends_at)) for row in rows] == [(Kind.BOOKING, span(2, 4))]


def test_a_hold_of_a_line_keeps_its_stations(session, ada, cleo):
    lab = make_facility(session)
    mill = make_instrument(session, lab)
    whole = make_instrument(session, lab, stations=[mill])
    hold(session, ada, whole)
    with pytest.raises(Refused):
        place(session, cleo, mill)
    place(session, ada, whole)
    assert held(session) == 0


def test_holds_of_a_shared_instrument_count_by_units(session, ada, cleo):
    bath = make_instrument(session, units=4)
    hold(session, ada, bath, quantity=3)
    with pytest.raises(Refused):
        place(session, cleo, bath, quantity=2)
    place(session, cleo, bath, quantity=1)
    place(session, ada, bath, quantity=3)


def test_housekeeping_drops_what_keeps_no_time(session, ada, sem):
    hold(session, ada, sem)
    holds.prune(session, now=LATER)
    assert session.scalars(select(Hold)).all() != []
    occupation.release_expired(session, now=LATER)
    holds.prune(session, now=LATER)
    assert session.scalars(select(Hold)).all() == []


# --- what is shared -------------------------------------------------------------------------------


@pytest.fixture
def steam(session, sem) -> Utility:
    row = Utility(facility_id=sem.facility_id, code="STEAM", name_zh="蒸汽", capacity=300)
    session.add(row)
    session.flush()
    return row


@pytest.fixture
def dryer(session, sem) -> Instrument:
    return make_instrument(session, sem.facility)


def run(instrument, steam, start=1, end=2, amount=200) -> list[Item]:
    return [Item(instrument.id, span(start, end), process=Process(draws=((steam.id, amount),)))]


def test_a_hold_keeps_the_steam_too_and_gives_it_back(session, ada, cleo, sem, dryer, steam):
    mine = holds.take(session, actor=ada, items=run(sem, steam), now=NOW)
    with pytest.raises(Refused) as refused:
        holds.take(session, actor=cleo, items=run(dryer, steam), now=NOW)
    assert codes(refused) == ["utility_full"]
    with pytest.raises(Refused) as refused:
        bookings.place(session, actor=cleo, items=run(dryer, steam), now=NOW)
    assert codes(refused) == ["utility_full"]
    # Less of it, or another time, is no matter; who holds it books it.
    bookings.place(session, actor=cleo, items=run(dryer, steam, amount=100), now=NOW)
    bookings.place(session, actor=cleo, items=run(dryer, steam, 2, 3), now=NOW)
    assert bookings.dry_run(session, actor=ada, items=run(sem, steam), now=NOW).allowed
    holds.release(session, actor=ada, hold_id=mine.id, now=NOW)
    other = holds.take(session, actor=cleo, items=run(sem, steam), now=NOW)
    assert bookings.place(session, actor=ada, items=run(sem, steam), now=LATER)  # it has run out
    assert other.draws == [[steam.id, *(at.isoformat() for at in span(1, 2)), 200]]


def test_what_was_held_and_is_booked_draws_once(session, ada, cleo, sem, dryer, steam):
    holds.take(session, actor=ada, items=run(sem, steam, amount=150), now=NOW)
    bookings.place(session, actor=ada, items=run(sem, steam, amount=150), now=NOW)
    assert bookings.place(session, actor=cleo, items=run(dryer, steam, amount=150), now=NOW)


def test_the_hold_of_a_move_draws_what_the_booking_does_not(session, ada, cleo, sem, dryer, steam):
    booking = bookings.place(session, actor=ada, items=run(sem, steam, 1, 3), now=NOW)
    moved = [Item(sem.id, span(2, 4))]
    mine = holds.take(session, actor=ada, items=moved, booking_id=booking.id, now=NOW)
    assert mine.draws == [[steam.id, *(at.isoformat() for at in span(3, 4)), 200]]
    with pytest.raises(Refused):
        bookings.place(session, actor=cleo, items=run(dryer, steam, 3, 4), now=NOW)
    bookings.change(session, actor=ada, booking_id=booking.id, version=booking.version, items=moved, now=NOW)
    assert bookings.place(session, actor=cleo, items=run(dryer, steam, 1, 2), now=NOW)

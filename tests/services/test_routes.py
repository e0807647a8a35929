"""Processes in steps: found at the earliest, booked and moved as one, under changeovers and shared utilities."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from booking.domain.access import Forbidden
from booking.domain.hours import WeeklyHours
from booking.domain.occupation import Item, Process
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, invariants, processes, routes
from booking.services.catalogue import Filters
from booking.services.routes import Step
from models import BookingItem, Capability, Category, Occupation
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)  # Monday, 08:00 in Guangdong


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


MONTH = span(0, 30 * 24)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def cleo(session):
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def plant(session):
    return make_facility(session)


@pytest.fixture
def reactor(session, plant):
    return make_instrument(session, plant, code="REACTOR", cleanup_minutes=60)


@pytest.fixture
def dryer(session, plant):
    return make_instrument(session, plant, code="DRYER")


def place(session, actor, instrument, start, end, family=""):
    item = Item(instrument.id, span(start, end), process=Process(family) if family else None)
    return bookings.place(session, actor=actor, items=[item], now=NOW)


def find(session, actor, *steps, within=MONTH):
    return routes.find(session, actor=actor, steps=steps, within=within, now=NOW)


def book(session, actor, *steps, within=MONTH, **given):
    return routes.book(session, actor=actor, steps=steps, within=within, now=NOW, **given)


def times(items):
    return [
        ((item.span.start - NOW) / timedelta(hours=1), (item.span.end - NOW) / timedelta(hours=1))
        for item in items
    ]


def codes(refusal):
    return [reason.code for reason in refusal.value.reasons]


TWO = (Step(120, "REACTOR"), Step(60, "DRYER", lag=(30, 120)))


def test_the_earliest_route_keeps_lags_and_what_is_taken(session, ada, cleo, reactor, dryer):
    assert times(find(session, ada, *TWO).items) == [(0, 2), (2.5, 3.5)]
    place(session, cleo, dryer, 2, 5)
    found = find(session, ada, *TWO)
    assert times(found.items) == [(2.5, 4.5), (5, 6)]
    assert found.allowed
    place(session, cleo, reactor, 3, 4)
    assert times(find(session, ada, *TWO).items) == [(5, 7), (7.5, 8.5)]


def test_a_step_may_be_done_on_any_instrument_that_can(session, ada, cleo, plant):
    session.add(Category(code="1202", name_zh="化工", name_en="Chemical"))
    session.flush()
    small, large = (make_instrument(session, plant, category_code="1202") for _ in range(2))
    for row, volume in ((small, 20), (large, 100)):
        session.add(Capability(instrument_id=row.id, tag="volume_l", value=volume, unit="L"))
    session.flush()
    place(session, cleo, large, 0, 3)
    any_one = Step(60, filters=Filters(category="12"))
    big = Step(60, filters=Filters(category="12", capability="volume_l>=50"), lag=(0, 600))
    assert [row.code for row in find(session, ada, any_one).instruments] == [small.code]
    found = find(session, ada, any_one, big)
    assert [row.code for row in found.instruments] == [small.code, large.code]
    assert times(found.items)[1] == (3, 4)


def test_opening_hours_and_steps_of_each_instrument_count(session, ada, plant, reactor):
    make_instrument(session, plant, code="SEM", step_minutes=30, hours=[WeeklyHours(0, 605, 1020)])
    found = find(session, ada, Step(45, "REACTOR"), Step(40, "SEM", lag=(0, 60)))
    assert times(found.items) == [(1.75, 2.5), (2.5, 3.5)]  # it opens at 10:05, and books half hours


def test_a_route_is_one_booking_all_or_nothing(session, ada, cleo, reactor, dryer):
    booking = book(session, ada, *TWO, purpose="Batch 7")
    assert times([*bookings._items(booking)]) == [(0, 2), (2.5, 3.5)]
    assert [processes.of(row).lag for row in booking.items] == [None, (30, 120)]
    places = [("REACTOR", NOW + timedelta(hours=3)), ("DRYER", NOW + timedelta(hours=3))]
    before = session.scalars(select(Occupation.id)).all()
    with pytest.raises(Refused) as refusal:
        book(session, cleo, *TWO, places=places)
    assert codes(refusal) == ["taken", "lag"]
    assert session.scalars(select(Occupation.id)).all() == before
    assert times(bookings._items(book(session, cleo, *TWO))) == [(3, 5), (5.5, 6.5)]


def test_a_route_moves_as_one_and_keeps_what_it_is(session, ada, cleo, reactor, dryer):
    booking = book(session, ada, *TWO)
    place(session, cleo, dryer, 26.5, 29)
    moved = routes.move(
        session, actor=ada, booking_id=booking.id, within=span(24, 72), version=booking.version, now=NOW
    )
    assert moved.id == booking.id
    assert times(bookings._items(moved)) == [(26.5, 28.5), (29, 30)]  # not at 24: the dryer would be too late
    assert [processes.of(row).lag for row in moved.items] == [None, (30, 120)]
    alone = place(session, ada, reactor, 40, 41)
    with pytest.raises(Invalid):
        routes.later(session, actor=ada, booking_id=alone.id, within=MONTH, now=NOW)


def test_one_step_that_is_moved_by_hand_keeps_its_lag(session, ada, reactor, dryer):
    booking = book(session, ada, *TWO)
    first = bookings._items(booking)[0]
    with pytest.raises(Refused) as refusal:
        bookings.change(
            session,
            actor=ada,
            booking_id=booking.id,
            version=None,
            items=[Item(first.instrument_id, first.span), Item(dryer.id, span(9, 10))],
            now=NOW,
        )
    assert codes(refusal) == ["lag"]


def test_where_no_route_is_free_the_first_step_that_fails_is_named(session, ada, cleo, reactor, dryer):
    place(session, cleo, dryer, 0, 48)
    found = find(session, ada, *TWO, within=span(0, 24))
    assert not found.allowed
    assert [(reason.code, reason.params["step"]) for reason in found.reasons] == [("no_route", 2)]
    with pytest.raises(Refused) as refusal:
        book(session, ada, *TWO, within=span(0, 24))
    assert codes(refusal) == ["no_route"]


# --- changeovers ----------------------------------------------------------------------------------


@pytest.fixture
def matrix(session, plant, reactor):
    tam = cast.actor_of(session, cast.tam(session, plant))
    minutes = {("milk", "soy"): 240, ("soy", "milk"): 120}
    processes.replace_changeovers(session, actor=tam, facility=plant, minutes=minutes, now=NOW)
    return tam


def test_changeovers_lie_between_neighbours_of_other_families(session, ada, cleo, reactor, matrix):
    place(session, cleo, reactor, 2, 4, "milk")
    place(session, cleo, reactor, 12, 14, "soy")
    soy, milk = (Step(120, "REACTOR", family=family) for family in ("soy", "milk"))
    assert times(find(session, ada, soy).items) == [(8, 10)]  # four hours after milk
    assert times(find(session, ada, milk).items) == [(5, 7)]  # milk after milk needs no more than cleaning
    assert times(find(session, ada, Step(60, "REACTOR")).items) == [(0, 1)]
    with pytest.raises(Refused) as refusal:
        place(session, ada, reactor, 6, 7, "soy")
    assert codes(refusal) == ["changeover"]
    assert refusal.value.reasons[0].params["needed"] == 240
    with pytest.raises(Refused):
        place(session, ada, reactor, 8, 11, "milk")  # an hour before soy, where it takes four


def test_the_matrix_of_an_instrument_counts_instead_of_the_facilitys(
    session, ada, cleo, plant, reactor, matrix
):
    own = {("milk", "soy"): 90}
    processes.replace_changeovers(
        session, actor=matrix, facility=plant, instrument=reactor, minutes=own, now=NOW
    )
    place(session, cleo, reactor, 0, 4, "milk")
    assert times(find(session, ada, Step(60, "REACTOR", family="soy")).items) == [(5.5, 6.5)]


def test_steps_of_one_route_keep_their_changeover_too(session, ada, reactor, dryer, matrix):
    steps = (
        Step(60, "REACTOR", family="milk"),
        Step(30, "DRYER", lag=(0, 600)),
        Step(60, "REACTOR", lag=(0, 600), family="soy"),
    )
    assert times(find(session, ada, *steps).items)[2] == (5, 6)
    assert times(bookings._items(book(session, ada, *steps)))[2] == (5, 6)


def test_only_managers_of_the_facility_set_changeovers(session, ada, plant):
    with pytest.raises(Forbidden):
        processes.replace_changeovers(session, actor=ada, facility=plant, minutes={}, now=NOW)
    with pytest.raises(Forbidden):
        processes.keep_utility(
            session, actor=ada, facility=plant, code="STEAM", name_zh="蒸汽", capacity=1, now=NOW
        )


# --- utilities ------------------------------------------------------------------------------------


@pytest.fixture
def steam(session, plant):
    tam = cast.actor_of(session, cast.tam(session, plant))
    return processes.keep_utility(
        session,
        actor=tam,
        facility=plant,
        code="STEAM",
        name_zh="蒸汽",
        name_en="Steam",
        unit="kg/h",
        capacity=300,
        now=NOW,
    )


def test_steps_share_what_a_facility_has_of_a_utility(session, ada, cleo, reactor, dryer, steam):
    much = {"STEAM": 200}
    book(session, cleo, Step(240, "DRYER", draws=much))
    found = find(session, ada, Step(60, "REACTOR", draws=much))
    assert times(found.items) == [(4, 5)]
    assert times(find(session, ada, Step(60, "REACTOR", draws={"STEAM": 100})).items) == [(0, 1)]
    with pytest.raises(Refused) as refusal:
        book(session, ada, Step(60, "REACTOR", draws=much), places=[("REACTOR", NOW)])
    (reason,) = refusal.value.reasons
    assert (reason.code, reason.params["free"], reason.params["asked"]) == ("utility_full", 100, 200)
    with pytest.raises(Invalid):
        find(session, ada, Step(60, "REACTOR", draws={"POWER": 1}))


def test_what_is_cancelled_draws_nothing(session, ada, cleo, reactor, dryer, steam):
    booking = book(session, cleo, Step(240, "DRYER", draws={"STEAM": 300}), within=span(1, 24))
    assert times(find(session, ada, Step(90, "REACTOR", draws={"STEAM": 300})).items) == [(5, 6.5)]
    bookings.cancel(session, actor=cleo, booking_id=booking.id, now=NOW)
    assert times(find(session, ada, Step(90, "REACTOR", draws={"STEAM": 300})).items) == [(0, 1.5)]


def test_a_route_is_the_earliest_that_the_rules_let_through(
    session, ada, cleo, reactor, dryer, matrix, steam
):
    """Against brute force: whatever starts earlier is refused."""
    place(session, cleo, reactor, 1, 2, "milk")
    place(session, cleo, dryer, 3, 5)
    steps = (
        Step(60, "REACTOR", family="soy", draws={"STEAM": 150}),
        Step(60, "DRYER", lag=(0, 60), draws={"STEAM": 300}),
    )
    found = find(session, ada, *steps)
    end = found.items[-1].span.end
    quarters = [NOW + timedelta(minutes=15 * n) for n in range(60)]
    for first, second in itertools.product(quarters, quarters):
        if not timedelta(hours=1) <= second - first <= timedelta(hours=2) or second >= end - timedelta(
            hours=1
        ):
            continue
        items = [
            Item(item.instrument_id, Span(start, start + timedelta(hours=1)), 1, item.process)
            for item, start in zip(found.items, (first, second), strict=True)
        ]
        assert not bookings.dry_run(session, actor=ada, items=items, now=NOW).allowed
    assert found.allowed


def test_nonsense_is_named(session, ada, reactor):
    with pytest.raises(Invalid) as error:
        find(session, ada, Step(0, "REACTOR"), Step(60, "REACTOR", lag=(60, 30)), Step(30))
    assert error.value.errors == {
        "steps.0.minutes": "out_of_range",
        "steps.1.lag": "out_of_range",
        "steps.2.instrument_id": "required",
    }
    with pytest.raises(Invalid):
        find(session, ada)
    with pytest.raises(Invalid):
        find(session, ada, Step(60, "REACTOR"), within=span(5, 4))


def test_rows_that_are_no_steps_keep_nothing(session, ada, reactor):
    place(session, ada, reactor, 0, 1)
    assert session.scalars(select(BookingItem.process)).all() == [None]
    assert not session.scalars(select(BookingItem).where(BookingItem.process.is_not(None))).all()


def test_what_is_drawn_beyond_a_utility_is_named(session, ada, reactor, steam):
    book(session, ada, Step(60, "REACTOR", draws={"STEAM": 300}), within=span(1, 24))

    def faults():
        found = {one.check: one for one in invariants.check(session, now=NOW)}["shared utilities"]
        return [(fault.code, fault.doubtful) for fault in found.faults]

    assert faults() == []
    steam.capacity = 200
    session.flush()
    assert faults() == [("overdrawn", True)]


def test_a_step_that_is_extended_stays_a_step(session, ada, reactor, dryer):
    booking = book(session, ada, *TWO)
    longer = bookings.extend(session, actor=ada, booking_id=booking.id, minutes=30, now=NOW)
    assert times(bookings._items(longer)) == [(0, 2), (2.5, 4)]
    assert processes.of(longer.items[1]).lag == (30, 120)


def test_several_times_that_were_never_a_process_move_without_becoming_one(session, ada, reactor, dryer):
    items = [Item(reactor.id, span(1, 2)), Item(dryer.id, span(3, 4))]
    booking = bookings.place(session, actor=ada, items=items, now=NOW)
    moved = routes.move(session, actor=ada, booking_id=booking.id, within=span(24, 48), version=None, now=NOW)
    assert times(bookings._items(moved)) == [(24, 25), (26, 27)]
    assert [row.process for row in moved.items] == [None, None]

"""Rounds on both engines: wishes, what the resolver is asked, drafts, and their confirmation in one transaction."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from booking import plan_words
from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.resolution.answers import answer
from booking.domain.rounds import RoundAction, RoundState, Weights, WishState
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.i18n import use_locale
from booking.services import (
    bookings,
    round_drafts,
    round_pools,
    round_steps,
    round_wishes,
    rounds,
    solver_runs,
)
from booking.services.bookings import Stale
from booking.services.round_steps import Stage
from booking.services.rounds import ShareTerms, Terms
from models import (
    Booking,
    Event,
    Instrument,
    Membership,
    Organisation,
    OrganisationKind,
    Part,
    RunState,
    WaitlistEntry,
)
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
FIRST = date(2026, 11, 9)
"""A Monday."""

MIDNIGHT = datetime(2026, 11, 8, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(day: int, hour: float) -> datetime:
    """A local hour of a day of the round, counted from 0."""
    return MIDNIGHT + timedelta(days=day, hours=hour)


@pytest.fixture
def reactor(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def twin(session, reactor) -> Instrument:
    return make_instrument(session, facility=reactor.facility)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def cleo(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def tam(session, reactor) -> Actor:
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=reactor.facility_id))
    return cast.actor_of(session, person)


def terms(**given) -> Terms:
    usual = {
        "name": "November",
        "first_day": FIRST,
        "last_day": FIRST + timedelta(days=6),
        "opens_at": NOW,
        "closes_at": NOW + timedelta(days=3),
        "reserve_percent": 0,
    }
    return Terms(**(usual | given))


@pytest.fixture
def week(session, tam, reactor):
    return rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=terms(), now=NOW)


def wish(session, actor, row, *instruments, minutes=120, window=None, **given):
    return round_wishes.submit(
        session,
        actor=actor,
        round_id=row.id,
        instrument_ids=[one.id for one in instruments],
        minutes=minutes,
        window=window,
        now=NOW,
        **given,
    )


def solved(session, tam, row, seed=1):
    """Have a round run as the solving process does, but here."""
    run = round_drafts.ask(session, actor=tam, round_id=row.id, seconds=5, seed=seed, now=NOW)
    work = solver_runs.take_up(session, now=NOW)
    assert work is not None
    assert work.id == run.id
    found = answer(
        "pool",
        solver_runs.document_of(work),
        seconds=5,
        seed=seed,
        on_progress=lambda _progress: None,
        stopped=lambda: False,
    )
    return solver_runs.end(session, run_id=run.id, result=found, now=NOW)


def drafted(session, tam, row):
    if row.state is RoundState.OPEN:
        rounds.act(session, actor=tam, round_id=row.id, action=RoundAction.CLOSE, now=NOW)
    run = solved(session, tam, row)
    return round_drafts.publish(session, actor=tam, round_id=row.id, run_id=run.id, now=NOW)


# --- wishes ---------------------------------------------------------------------------------------


def test_a_round_takes_wishes_only_in_its_time(session, tam, ada, reactor):
    later = terms(opens_at=NOW + HOUR)
    row = rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=later, now=NOW)
    with pytest.raises(Refused) as early:
        wish(session, ada, row, reactor)
    assert [reason.code for reason in early.value.reasons] == ["round_not_open"]
    rounds.act(session, actor=tam, round_id=row.id, action=RoundAction.CLOSE, now=NOW)
    with pytest.raises(Refused) as late:
        wish(session, ada, row, reactor)
    assert [reason.code for reason in late.value.reasons] == ["round_closed"]


def test_a_wish_names_instruments_of_the_facility_and_a_window_of_the_round(session, tam, ada, week, reactor):
    elsewhere = make_instrument(session)
    with pytest.raises(Invalid) as unknown:
        wish(session, ada, week, elsewhere)
    assert unknown.value.errors == {"instruments": "unknown"}
    with pytest.raises(Invalid) as outside:
        wish(session, ada, week, reactor, window=Span(at(-1, 0), at(2, 0)))
    assert outside.value.errors == {"window": "outside_round"}
    with pytest.raises(Invalid) as short:
        wish(session, ada, week, reactor, minutes=180, window=Span(at(0, 9), at(0, 11)))
    assert short.value.errors == {"window": "too_small"}


def test_only_its_owner_and_the_staff_see_a_wish_and_only_the_manager_ranks_it(
    session, tam, ada, cleo, week, reactor
):
    mine = wish(session, ada, week, reactor)
    assert round_wishes.get(session, actor=tam, wish_id=mine.id) is mine
    with pytest.raises(NotFound):
        round_wishes.get(session, actor=cleo, wish_id=mine.id)
    assert round_wishes.of_round(session, actor=cleo, round_id=week.id) == []
    with pytest.raises(NotFound):
        round_wishes.withdraw(session, actor=cleo, wish_id=mine.id, now=NOW)
    with pytest.raises(Forbidden):
        round_wishes.rank(session, actor=ada, wish_id=mine.id, priority=4, reason="for me", now=NOW)
    round_wishes.rank(session, actor=tam, wish_id=mine.id, priority=4, reason="national project", now=NOW)
    assert mine.priority == 4


def test_terms_that_make_no_sense_are_refused_by_field(session, tam, reactor):
    wrong = terms(name=" ", last_day=FIRST - timedelta(days=1), closes_at=NOW - HOUR, reserve_percent=90)
    with pytest.raises(Invalid) as found:
        rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=wrong, now=NOW)
    assert found.value.errors == {
        "name": "required",
        "last_day": "inverted",
        "closes_at": "inverted",
        "reserve_percent": "out_of_range",
    }


# --- what the resolver is asked -------------------------------------------------------------------


def test_calendars_of_a_round_hold_hours_bookings_and_what_stays_free(session, tam, ada, week, reactor):
    reactor.setup_minutes, reactor.cleanup_minutes, reactor.step_minutes = 30, 15, 60
    items = [Item(reactor.id, Span(at(0, 10), at(0, 12)))]
    bookings.place(session, actor=ada, items=items, now=NOW)
    wish(session, ada, week, reactor)
    week.reserve_percent = 10
    pool = round_pools.pose(session, row=week, pins={}, now=NOW).pool
    (lane,) = pool.instruments
    # Set-up before and clean-up after both follow a run here, and the calendar is moved later by the set-up.
    assert lane.clean == 3
    assert lane.every == 4
    assert (9.5 * 4 + 2, 12.25 * 4 + 2) in lane.blocked
    staffed = sum(end - start for start, end in lane.staffed)
    last = max(end for _, end in lane.staffed)
    assert (last - staffed // 10, last) in lane.blocked or staffed // 10 > lane.staffed[-1][1] - lane.staffed[
        -1
    ][0]


def test_units_are_lanes(session, tam, ada, cleo, reactor):
    pair = make_instrument(session, facility=reactor.facility, units=2)
    row = rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=terms(), now=NOW)
    within = Span(at(0, 9), at(0, 11))
    for actor in (ada, cleo):
        wish(session, actor, row, pair, window=within)
    run = solved(session, tam, row)
    assert run.result["served"] == 2


def test_what_is_pinned_stands_and_what_is_left_out_is_not_asked(session, tam, ada, cleo, week, reactor):
    first = wish(session, ada, week, reactor, window=Span(at(0, 9), at(0, 13)))
    second = wish(session, cleo, week, reactor, window=Span(at(0, 9), at(0, 13)))
    third = wish(session, cleo, week, reactor, minutes=60)
    pin = {"instrument_id": reactor.id, "starts_at": at(0, 9), "reason": "the sample is fresh"}
    round_wishes.pin(session, actor=tam, wish_id=first.id, now=NOW, **pin)
    nothing = {"instrument_id": None, "starts_at": None, "reason": "no permit"}
    round_wishes.pin(session, actor=tam, wish_id=third.id, now=NOW, **nothing)
    run = solved(session, tam, week)
    put = round_drafts.places(run, [first, second, third])
    assert put[first.id].starts_at == at(0, 9)
    assert put[second.id].starts_at >= at(0, 11)
    assert third.id not in put
    assert round_drafts.reasons(session, run)[third.id] == [{"code": "left_out"}]


def test_a_line_and_its_station_are_never_promised_together(session, tam, ada, cleo, reactor, twin):
    session.add(Part(line_id=reactor.id, station_id=twin.id, position=0))
    row = rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=terms(), now=NOW)
    within = Span(at(0, 9), at(0, 11))
    wish(session, ada, row, reactor, window=within)
    wish(session, cleo, row, twin, window=within)
    run = solved(session, tam, row)
    assert run.result["served"] == 1


def test_hours_promised_to_a_region_are_for_those_who_are_registered_there(session, tam, ada, cleo, reactor):
    company = session.get_one(Organisation, min(cleo.organisations))
    company.region_code = "450100"
    promised = ShareTerms(
        OrganisationKind.ENTERPRISE,
        region_code="450000",
        annual_minutes=700 * 60,
        rounds_left=10,
        subsidy_percent=50,
    )
    row = rounds.make(
        session,
        actor=tam,
        facility_id=reactor.facility_id,
        terms=terms(shares=[promised], budget=Decimal(1000)),
        now=NOW,
    )
    bookings.place(
        session, actor=cleo, items=[Item(reactor.id, Span(NOW + HOUR * 20, NOW + HOUR * 30))], now=NOW
    )
    wish(session, cleo, row, reactor)
    wish(session, ada, row, reactor)

    def classes() -> tuple[set[str], list[tuple[str, int]]]:
        pool = round_pools.pose(session, row=row, pins={}, now=NOW).pool
        return (
            {one.quota_class for one in pool.wishes},
            [(one.quota_class, one.slots) for one in pool.floors],
        )

    # A tenth of the 690 hours that are left, and a tenth of that on top.
    regional = "enterprise@450000"
    assert classes() == ({regional, "university"}, [(regional, int(69 * 1.1 * 4))])
    company.region_code = "440300"
    assert classes() == ({"enterprise", "university"}, [(regional, 70 * 44 // 10)])
    company.region_code, company.uscc = "", "91450300MA5KXXXXXX"
    assert classes()[0] == {regional, "university"}
    assert plan_words.organisation_kind(regional) == "enterprises in Guangxi"


@pytest.mark.parametrize(
    ("regions", "code"),
    [
        ((None, "450000"), "nested_region"),
        (("450000", "450100"), "nested_region"),
        (("450000", "450000"), "duplicate"),
        (("45",), "malformed"),
    ],
)
def test_regions_that_overlap_are_refused_in_promises_to_one_kind(session, tam, reactor, regions, code):
    shares = [ShareTerms(OrganisationKind.ENTERPRISE, region_code=one, floor_minutes=60) for one in regions]
    with pytest.raises(Invalid) as error:
        rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=terms(shares=shares), now=NOW)
    assert error.value.errors == {"shares": code}


def test_caps_floors_and_budget_are_those_of_the_terms(session, tam, ada, cleo, reactor):
    company = ShareTerms(OrganisationKind.ENTERPRISE, floor_minutes=240, subsidy_percent=50)
    given = terms(cap_minutes=180, budget=Decimal("1000.50"), shares=[company])
    row = rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=given, now=NOW)
    mine = [wish(session, ada, row, reactor, minutes=120) for _ in range(2)]
    theirs = wish(session, cleo, row, reactor, minutes=120)
    posed = round_pools.pose(session, row=row, pins={}, now=NOW)
    party = posed.pool.wishes[0].organisation
    assert posed.pool.caps[party] == 12
    assert [(floor.quota_class, floor.slots) for floor in posed.pool.floors] == [("enterprise", 16)]
    assert posed.pool.budget == 100_050
    run = solved(session, tam, row)
    put = round_drafts.places(run, [*mine, theirs])
    assert sum(one.id in put for one in mine) == 1
    assert theirs.id in put


def test_what_an_hour_of_a_promise_is_worth_is_for_the_round_to_say(session, tam, ada, cleo, reactor, twin):
    company = ShareTerms(OrganisationKind.ENTERPRISE, floor_minutes=240)
    row = rounds.make(
        session, actor=tam, facility_id=reactor.facility_id, terms=terms(shares=[company]), now=NOW
    )
    within = Span(at(0, 9), at(0, 13))
    mine = wish(session, ada, row, reactor, twin, minutes=240, window=within)
    theirs = wish(session, cleo, row, reactor, minutes=240, window=within)
    other = wish(session, ada, row, twin, minutes=240, window=within)
    round_wishes.rank(session, actor=tam, wish_id=mine.id, priority=4, reason="National project", now=NOW)
    round_wishes.rank(session, actor=tam, wish_id=other.id, priority=3, reason="Thesis", now=NOW)

    def put(**weights):
        given = terms(shares=[company], weights=Weights(**weights))
        rounds.amend(session, actor=tam, round_id=row.id, terms=given, version=None, now=NOW)
        run = solved(session, tam, row)
        assert run.names["weights"] == row.weights
        places = round_drafts.places(run, [mine, theirs, other])
        return run, {
            one.id: places[one.id].instrument_id for one in (mine, theirs, other) if one.id in places
        }

    # Two of the three find room: an hour that the promise misses is worth that much, or nothing.
    dear, kept = put(floor_points=2000)
    assert kept == {mine.id: twin.id, theirs.id: reactor.id}
    cheap, missed = put(floor_points=0)
    assert missed == {mine.id: reactor.id, other.id: twin.id}
    assert dear.fingerprint != cheap.fingerprint
    # Where priorities count alike, the one that keeps the promise is worth its place again.
    _, alike = put(floor_points=4, priority_factor=1)
    assert theirs.id in alike

    with pytest.raises(Invalid) as error:
        put(rank_percent=21)
    assert error.value.errors == {"rank_percent": "out_of_range"}


def test_the_same_round_gives_the_same_plan_and_fingerprint(session, tam, ada, cleo, week, reactor, twin):
    for actor in (ada, cleo):
        for minutes in (60, 120, 240):
            wish(session, actor, week, reactor, twin, minutes=minutes)
    one, two = solved(session, tam, week), solved(session, tam, week)
    assert one.fingerprint == two.fingerprint
    assert one.result["plan"] == two.result["plan"]


# --- processes ------------------------------------------------------------------------------------


def process(session, actor, row, first, then, *, minutes=120, lag=(0, 60), **given):
    """Wish for so long on one instrument, and soon after it on another."""
    step = Stage(180, tuple(one.id for one in then), lag)
    return wish(session, actor, row, *first, minutes=minutes, following=[step], **given)


def test_a_process_is_drafted_and_confirmed_as_one_booking(session, tam, ada, week, reactor, twin):
    mine = process(session, ada, week, [reactor], [twin], window=Span(at(0, 0), at(1, 0)))
    drafted(session, tam, week)
    place = round_steps.place_of(mine)
    assert [one.instrument_id for one in place.steps] == [reactor.id, twin.id]
    assert timedelta(0) <= place.following[0].starts_at - place.ends_at <= HOUR
    told = session.scalars(select(Event).where(Event.kind == "wish.drafted")).one()
    assert told.data["following"] == [
        [twin.code, place.following[0].starts_at.isoformat(), place.following[0].ends_at.isoformat()]
    ]
    (booking,) = round_drafts.confirm(session, actor=tam, round_id=week.id, now=NOW).bookings
    assert [(item.instrument_id, item.starts_at, item.ends_at) for item in booking.items] == [
        (one.instrument_id, one.starts_at, one.ends_at) for one in place.steps
    ]
    assert booking.items[1].process["lag"] == [0, 60]
    assert (mine.state, mine.booking_id, booking.person_id) == (WishState.SERVED, booking.id, ada.person_id)


def test_a_process_is_served_whole_or_not_at_all_and_hears_why(session, tam, ada, cleo, week, reactor, twin):
    day = Span(at(0, 0), at(1, 0))
    bookings.place(session, actor=cleo, items=[Item(twin.id, day)], now=NOW)
    mine = process(session, ada, week, [reactor], [twin], window=day)
    drafted(session, tam, week)
    assert round_steps.place_of(mine) is None
    assert (mine.instrument_id, mine.starts_at) == (None, None)
    codes = [reason["code"] for reason in mine.reasons]
    assert codes[0] == "never_free"
    assert "help_later" in codes
    assert all(plan_words.why(reason) for reason in mine.reasons)
    outcome = round_drafts.confirm(session, actor=tam, round_id=week.id, now=NOW)
    assert (outcome.bookings, outcome.unserved) == ((), 1)
    [waits] = session.scalars(select(WaitlistEntry))
    assert [(step["any_of"], step["minutes"], step["lag"]) for step in waits.steps] == [
        ([reactor.code], 120, [0, 1440]),
        ([twin.code], 180, [0, 60]),
    ]


def test_all_steps_of_a_process_count_for_limits_and_promises(session, tam, ada, reactor, twin):
    shares = [ShareTerms(OrganisationKind.UNIVERSITY, floor_minutes=600)]
    given = terms(cap_minutes=240, shares=shares)
    row = rounds.make(session, actor=tam, facility_id=reactor.facility_id, terms=given, now=NOW)
    mine = process(session, ada, row, [reactor], [twin])
    run = solved(session, tam, row)
    assert round_drafts.places(run, [mine]) == {}
    assert round_drafts.reasons(session, run)[mine.id][0]["code"] == "cap"
    assert run.result["missing"] == [40]


def test_a_process_is_settled_with_all_its_places(session, tam, ada, cleo, week, reactor, twin):
    mine = process(session, ada, week, [reactor], [twin])
    other = wish(session, cleo, week, twin, minutes=180, window=Span(at(2, 12), at(2, 15)))
    settle = {"session": session, "actor": tam, "wish_id": mine.id, "reason": "A visit", "now": NOW}
    place = {"instrument_id": reactor.id, "starts_at": at(2, 10)}
    for following, code in (
        ([], {"following": "required"}),
        ([(twin.id, at(2, 14))], {"following": "out_of_range"}),
        ([(reactor.id, at(2, 12))], {"instrument_id": "unknown"}),
    ):
        with pytest.raises(Invalid) as error:
            round_wishes.pin(**settle, **place, following=following)
        assert error.value.errors == code
    round_wishes.pin(**settle, **place, following=[(twin.id, at(2, 12))])
    run = solved(session, tam, week)
    put = round_drafts.places(run, [mine, other])
    assert [one.starts_at for one in put[mine.id].steps] == [at(2, 10), at(2, 12)]
    assert other.id not in put


@pytest.mark.parametrize(
    ("minutes", "lag", "error"),
    [
        (10, (0, 60), {"following.0.minutes": "out_of_range"}),
        (60, (60, 30), {"following.0.lag": "out_of_range"}),
        (60, (7, 60), {"following.0.lag": "out_of_range"}),
        (22 * 60, (60, 60), {"window": "too_small"}),
    ],
)
def test_steps_that_make_no_sense_are_refused(session, ada, week, reactor, twin, minutes, lag, error):
    with pytest.raises(Invalid) as refused:
        wish(
            session,
            ada,
            week,
            reactor,
            window=Span(at(0, 0), at(1, 0)),
            following=[Stage(minutes, (twin.id,), lag)],
        )
    assert refused.value.errors == error


# --- drafts ---------------------------------------------------------------------------------------


def test_a_draft_is_confirmed_as_bookings_of_those_who_wished(session, tam, ada, cleo, week, reactor):
    within = Span(at(0, 9), at(0, 11))
    mine = wish(session, ada, week, reactor, window=within, purpose="polymer")
    theirs = wish(session, cleo, week, reactor, window=within)
    round_wishes.rank(session, actor=tam, wish_id=mine.id, priority=4, reason="national project", now=NOW)
    drafted(session, tam, week)
    assert mine.starts_at == at(0, 9)
    assert theirs.starts_at is None
    outcome = round_drafts.confirm(session, actor=tam, round_id=week.id, now=NOW)
    assert week.state is RoundState.CONFIRMED
    booking = session.get_one(Booking, mine.booking_id)
    assert (booking.person_id, booking.starts_at, booking.purpose) == (ada.person_id, at(0, 9), "polymer")
    assert booking.state is State.CONFIRMED
    assert (mine.state, theirs.state, outcome.unserved) == (WishState.SERVED, WishState.UNSERVED, 1)
    waits = session.scalars(select(WaitlistEntry)).one()
    assert (waits.person_id, waits.minutes) == (cleo.person_id, 120)


def test_a_draft_that_the_calendar_has_overtaken_is_refused_whole(session, tam, ada, cleo, week, reactor):
    mine = wish(session, ada, week, reactor, window=Span(at(0, 9), at(0, 11)))
    theirs = wish(session, cleo, week, reactor, window=Span(at(1, 9), at(1, 11)))
    drafted(session, tam, week)
    items = [Item(reactor.id, Span(at(1, 9), at(1, 10)))]
    bookings.place(session, actor=ada, items=items, now=NOW)
    session.commit()
    with pytest.raises(Refused) as found:
        round_drafts.confirm(session, actor=tam, round_id=week.id, now=NOW)
    session.rollback()
    assert [(reason.code, reason.params["wish"], reason.params["why"]) for reason in found.value.reasons] == [
        ("draft_outdated", str(theirs.id), "taken")
    ]
    assert week.state is RoundState.PUBLISHED
    assert mine.booking_id is None
    assert session.scalars(select(Booking)).one().starts_at == at(1, 9)
    # Run anew, it finds another place, and then it can be confirmed.
    theirs.window_ends_at = at(1, 16)
    drafted(session, tam, week)
    assert len(round_drafts.confirm(session, actor=tam, round_id=week.id, now=NOW).bookings) == 2


def test_a_round_may_give_days_that_are_too_far_ahead_for_everybody_else(session, tam, ada, week, reactor):
    reactor.horizon_minutes = 60
    mine = wish(session, ada, week, reactor)
    with pytest.raises(Refused):
        bookings.place(session, actor=ada, items=[Item(reactor.id, Span(at(0, 9), at(0, 11)))], now=NOW)
    drafted(session, tam, week)
    round_drafts.confirm(session, actor=tam, round_id=week.id, now=NOW)
    placed = session.scalars(select(Event).where(Event.booking_id == mine.booking_id)).first()
    assert placed is not None
    assert placed.data["overrode"]


def test_what_a_run_has_not_found_is_not_published(session, tam, ada, week, reactor):
    wish(session, ada, week, reactor)
    run = round_drafts.ask(session, actor=tam, round_id=week.id, now=NOW)
    with pytest.raises(Refused) as found:
        round_drafts.publish(session, actor=tam, round_id=week.id, run_id=run.id, now=NOW)
    assert [reason.code for reason in found.value.reasons] == ["no_plan"]


def test_a_plan_that_breaks_a_rule_is_not_published(session, tam, ada, cleo, week, reactor):
    for actor in (ada, cleo):
        wish(session, actor, week, reactor, window=Span(at(0, 9), at(0, 11)))
    run = solved(session, tam, week)
    (place,) = run.result["plan"].values()
    run.result = run.result | {"plan": {"0": place, "1": place}}
    with pytest.raises(Refused) as found:
        round_drafts.publish(session, actor=tam, round_id=week.id, run_id=run.id, now=NOW)
    assert [reason.params for reason in found.value.reasons] == [{"why": "overlap"}]


def test_only_the_manager_runs_publishes_and_confirms(session, tam, ada, week, reactor):
    wish(session, ada, week, reactor)
    for forbidden in (
        lambda: round_drafts.ask(session, actor=ada, round_id=week.id, now=NOW),
        lambda: round_drafts.runs(session, actor=ada, round_id=week.id),
        lambda: round_drafts.confirm(session, actor=ada, round_id=week.id, now=NOW),
        lambda: rounds.act(session, actor=ada, round_id=week.id, action=RoundAction.CANCEL, now=NOW),
    ):
        with pytest.raises(Forbidden):
            forbidden()


def test_who_saw_another_version_does_not_settle_it(session, tam, week):
    with pytest.raises(Stale):
        rounds.act(session, actor=tam, round_id=week.id, action=RoundAction.CLOSE, version=7, now=NOW)


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_whose_process_died_begins_anew_and_a_new_one_stops_the_old(session, tam, ada, week, reactor):
    wish(session, ada, week, reactor)
    first = round_drafts.ask(session, actor=tam, round_id=week.id, now=NOW)
    assert solver_runs.take_up(session, now=NOW) is not None
    assert solver_runs.take_up(session, now=NOW + solver_runs.SILENCE) is None
    again = solver_runs.take_up(session, now=NOW + solver_runs.SILENCE + timedelta(seconds=1))
    assert again is not None
    assert again.id == first.id
    progress = solver_runs.Progress("bound", 40, 900, 1000)
    assert solver_runs.beat(session, run_id=first.id, progress=progress, now=NOW)
    round_drafts.ask(session, actor=tam, round_id=week.id, now=NOW)
    assert not solver_runs.beat(session, run_id=first.id, progress=progress, now=NOW)
    solver_runs.end(session, run_id=first.id, result={"plan": {}}, now=NOW)
    session.refresh(first)
    assert first.state is RunState.STOPPED


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"seconds": 0}, "seconds"),
        ({"seconds": solver_runs.LONGEST + 1}, "seconds"),
        ({"seed": -1}, "seed"),
        ({"seed": solver_runs.MOST_SEED + 1}, "seed"),
    ],
)
def test_a_run_has_some_time_and_a_possible_seed(session, tam, ada, week, reactor, given, field):
    wish(session, ada, week, reactor)
    with pytest.raises(Invalid) as found:
        round_drafts.ask(session, actor=tam, round_id=week.id, now=NOW, **given)
    assert found.value.errors == {field: "out_of_range"}


def test_a_round_closes_by_itself_and_runs_once(session, tam, ada, week, reactor):
    wish(session, ada, week, reactor)
    over = week.closes_at
    assert rounds.due(session, now=over - HOUR) == []
    assert rounds.due(session, now=over) == [week.id]
    assert rounds.close_in_time(session, round_id=week.id, now=over) is week
    assert round_drafts.ask_first(session, round_id=week.id, now=over) is not None
    assert rounds.due(session, now=over) == []
    assert rounds.close_in_time(session, round_id=week.id, now=over) is None


def test_who_is_not_served_is_told_why_and_what_would_help(session, tam, ada, cleo, week, reactor):
    within = Span(at(0, 9), at(0, 11))
    mine = wish(session, ada, week, reactor, window=within)
    theirs = wish(session, cleo, week, reactor, window=within)
    round_wishes.rank(session, actor=tam, wish_id=mine.id, priority=4, reason="national project", now=NOW)
    drafted(session, tam, week)
    assert mine.reasons == []
    codes = [reason["code"] for reason in theirs.reasons]
    assert "full" in codes
    assert "help_later" in codes
    with use_locale("en"):
        said = [plan_words.why(reason) for reason in theirs.reasons]
    assert any(sentence.startswith("Every start in your window is taken") for sentence in said)
    helps = f"A window of one day more would have helped: {reactor.code}, Mon 9 Nov 2026, 11:00."
    assert helps in said

"""Replans on both engines: what an outage displaces in numbers, proposed, held, answered or met with silence."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.replanning import Answer, IfSilent, ProposalKind, ProposalState, ReplanState
from booking.domain.resolution import answers
from booking.domain.resolution.documents import read_plan, read_pool
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import bookings, closures, proposals, replans, solver_runs
from models import (
    Booking,
    Category,
    ClosureKind,
    CreditEntry,
    Event,
    Instrument,
    Membership,
    SolverRun,
    WaitlistEntry,
)
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
"""A Monday, 16:00 in Guangdong."""

KEY = "a key for tests"
HOUR = timedelta(hours=1)


def span(start: float, end: float) -> Span:
    """Hours after NOW."""
    return Span(NOW + start * HOUR, NOW + end * HOUR)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def twin(session, sem) -> Instrument:
    sem.category_code = None
    return make_instrument(session, facility=sem.facility)


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
    return cast.actor_of(session, person)


def place(session, actor, instrument, start, end, *, may_move=False, if_silent=IfSilent.STAY) -> Booking:
    booking = bookings.place(session, actor=actor, items=[Item(instrument.id, span(start, end))], now=NOW)
    booking.may_move, booking.if_silent = may_move, if_silent
    session.flush()
    return booking


def close(session, tam, instrument, start, end):
    closure, _ = closures.make(
        session,
        actor=tam,
        facility_id=instrument.facility_id,
        instrument_id=instrument.id,
        span=span(start, end),
        kind=ClosureKind.BREAKDOWN,
        reason="vacuum pump",
        imposed=True,
        now=NOW,
    )
    return closure


def begin(session, tam, closure):
    return replans.begin(session, actor=tam, closure_id=closure.id, now=NOW)


def repaired(session, row, *changes):
    """Let the run of a replan find one repair: (booking, hit, hour of its new start or None, instrument or None)."""
    run = solver_runs.take_up(session, now=NOW)
    assert run.id == row.run_id
    start = datetime.fromisoformat(run.names["start"])
    found = []
    for booking, hit, hour, *where in changes:
        after = None
        if hour is not None:
            place_id = where[0].id if where else booking.items[0].instrument_id
            slot = (NOW + hour * HOUR - start) // timedelta(minutes=15)
            after = [[run.names["lanes"].index(place_id), slot]]
        number = run.names["bookings"].index(str(booking.id))
        found.append({"wish": number, "hit": hit, "after": after, "cost": 100, "slots": 4})
    repair = {"kind": "least", "cost": 100, "bound": 100, "changes": found}
    return solver_runs.end(session, run_id=run.id, result={"repairs": [repair]}, now=NOW)


def send(session, tam, row):
    return replans.send(session, actor=tam, replan_id=row.id, chosen=0, key=KEY, now=NOW)


def asked(session, tam, booking, instrument, hour, **given):
    """Close the instrument over a booking and propose another hour to its owner."""
    row = begin(session, tam, close(session, tam, instrument, 20, 30))
    repaired(session, row, (booking, True, hour), **given)
    return send(session, tam, row).proposals[0]


# --- in numbers -----------------------------------------------------------------------------------


def test_what_is_hit_and_who_agreed_are_asked_and_all_else_stands(session, tam, ada, cleo, sem):
    hit = place(session, ada, sem, 24, 26)
    willing = place(session, cleo, sem, 40, 42, may_move=True)
    place(session, cleo, sem, 48, 50)
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    run = session.get_one(SolverRun, row.run_id)
    assert run.names["bookings"] == [str(hit.id), str(willing.id)]
    document = solver_runs.document_of(run)
    pool, plan = read_pool(document["pool"]), read_plan(document["plan"])
    start = datetime.fromisoformat(run.names["start"])
    slots = [(NOW + hour * HOUR - start) // timedelta(minutes=15) for hour in (24, 40, 48, 20, 30)]
    assert [plan[0][0][1], plan[1][0][1]] == slots[:2]
    assert (slots[2], slots[2] + 8) in pool.instruments[0].blocked
    assert document["outage"]["down"] == [[0, slots[3], slots[4]]]
    assert [wish.consents for wish in pool.wishes] == [False, True]


def test_where_nothing_is_displaced_there_is_nothing_to_repair(session, tam, sem):
    with pytest.raises(Refused) as found:
        begin(session, tam, close(session, tam, sem, 20, 30))
    assert [reason.code for reason in found.value.reasons] == ["nothing_displaced"]


def test_what_only_a_person_can_move_is_no_case_for_the_solver(session, tam, ada, cleo, sem):
    begun = place(session, ada, sem, 1, 30)
    begun.items[0].starts_at = begun.starts_at = NOW - HOUR
    place(session, cleo, sem, 40, 42, may_move=True)
    with pytest.raises(Refused) as found:
        begin(session, tam, close(session, tam, sem, 20, 30))
    assert [(reason.code, reason.params["by_hand"]) for reason in found.value.reasons] == [
        ("nothing_displaced", 1)
    ]


# --- several items, several units, several parts --------------------------------------------------


def several(session, actor, *items) -> Booking:
    return bookings.place(
        session, actor=actor, items=[Item(row.id, span(a, b), units) for row, a, b, units in items], now=NOW
    )


def solved(session, row):
    """Let the solver do what the process of its own does."""
    run = solver_runs.take_up(session, now=NOW)
    result = answers.answer(
        "repair",
        solver_runs.document_of(run),
        seconds=5,
        seed=1,
        on_progress=lambda _: None,
        stopped=lambda: False,
    )
    return solver_runs.end(session, run_id=run.id, result=result, now=NOW)


def test_several_items_move_as_one_and_keep_their_distances(session, tam, ada, cleo, sem):
    other = make_instrument(session, facility=sem.facility)
    booking = several(session, ada, (sem, 24, 26, 1), (other, 27, 28, 1))
    place(session, cleo, other, 33.5, 34)
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    solved(session, row)
    proposal = send(session, tam, row).proposals[0]
    # Earlier by six hours would do, later by six would not: the other instrument is taken then.
    assert [(item.span.start - NOW) / HOUR for item in proposals.proposed_items(proposal)] == [18, 21]
    assert (proposal.kind, proposal.ends_at) == (ProposalKind.LATER, NOW + 22 * HOUR)
    with pytest.raises(Refused):
        place(session, cleo, other, 21, 22)
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert [(item.starts_at - NOW) / HOUR for item in booking.items] == [18, 21]
    assert [(item.span.start - NOW) / HOUR for item in proposals.items_before(proposal)] == [24, 27]


def test_a_place_that_meets_its_own_old_time_is_held_and_taken(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    row = begin(session, tam, close(session, tam, sem, 22, 25))
    solved(session, row)
    proposal = send(session, tam, row).proposals[0]
    assert proposal.starts_at == NOW + 25 * HOUR
    with pytest.raises(Refused):
        place(session, cleo, sem, 26, 27)
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert booking.ends_at == NOW + 27 * HOUR


def test_where_one_item_alone_is_hit_an_equal_instrument_takes_it_at_the_same_time(
    session, tam, ada, sem, twin
):
    session.add(Category(code="0101", name_zh="电镜"))
    session.flush()
    sem.category_code = twin.category_code = "0101"
    other = make_instrument(session, facility=sem.facility)
    booking = several(session, ada, (sem, 24, 26, 1), (other, 26, 28, 1))
    row = begin(session, tam, close(session, tam, sem, 20, 60))
    solved(session, row)
    proposal = send(session, tam, row).proposals[0]
    assert proposal.kind is ProposalKind.ELSEWHERE
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert [(item.instrument_id, item.starts_at) for item in booking.items] == [
        (twin.id, NOW + 24 * HOUR),
        (other.id, NOW + 26 * HOUR),
    ]


def test_several_units_go_where_as_many_are_free(session, tam, ada, cleo, sem):
    bath = make_instrument(session, facility=sem.facility, units=4)
    booking = several(session, ada, (bath, 24, 26, 3))
    several(session, cleo, (bath, 30, 31, 2))
    several(session, cleo, (bath, 18, 19, 2))
    row = begin(session, tam, close(session, tam, bath, 20, 30))
    solved(session, row)
    proposal = send(session, tam, row).proposals[0]
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert [(item.starts_at, item.quantity) for item in booking.items] == [(NOW + 31 * HOUR, 3)]


def test_what_fits_nowhere_as_a_whole_is_divided(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 28)
    for start in range(0, 24 * 20, 6):  # never more than three hours are free
        if not 18 <= start < 36:
            place(session, cleo, sem, start + 3, start + 6)
    row = begin(session, tam, close(session, tam, sem, 20, 36))
    solved(session, row)
    [repair, *_] = replans.repairs(session.get_one(SolverRun, row.run_id))
    assert (repair.moved, repair.without_place) == (1, 0)
    proposal = send(session, tam, row).proposals[0]
    assert proposal.kind is ProposalKind.SPLIT
    assert sum(((i.span.duration) for i in proposals.proposed_items(proposal)), 0 * HOUR) == 4 * HOUR
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert len(booking.items) == 2
    assert all(item.starts_at >= NOW + 36 * HOUR for item in booking.items)


def test_silence_moves_nobody_into_parts_or_beyond_the_day_by_which_it_is_needed(session, tam, ada, sem):
    booking = place(session, ada, sem, 24, 26, if_silent=IfSilent.MOVE)
    proposal = asked(session, tam, booking, sem, 60)
    assert proposals.if_silent(proposal) is IfSilent.MOVE
    booking.needed_by = date(2026, 11, 4)
    assert proposals.if_silent(proposal) is IfSilent.STAY
    booking.needed_by, proposal.kind = None, ProposalKind.SPLIT
    assert proposals.if_silent(proposal) is IfSilent.STAY
    session.flush()
    proposals.silent(session, proposal_id=proposal.id, now=proposal.deadline)
    assert (booking.starts_at, proposal.state) == (NOW + 24 * HOUR, ProposalState.SILENT)


def test_who_gives_up_several_items_waits_for_each(session, tam, ada, sem):
    other = make_instrument(session, facility=sem.facility)
    several(session, ada, (sem, 24, 26, 1), (other, 26, 28, 1))
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    solved(session, row)
    proposal = send(session, tam, row).proposals[0]
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.WAIT, now=NOW)
    assert len(session.scalars(select(WaitlistEntry)).all()) == 2


def test_a_place_after_the_day_by_which_it_is_needed_weighs_as_none(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    booking.needed_by = date(2026, 11, 3)
    place(session, cleo, sem, 1, 20)
    session.flush()
    row = begin(session, tam, close(session, tam, sem, 20, 40))
    solved(session, row)
    [repair, *_] = replans.repairs(session.get_one(SolverRun, row.run_id))
    assert repair.cost > 7000
    [change] = repair.changes
    assert proposals.too_late(booking, proposals.items_of(booking, change))


# --- asking ---------------------------------------------------------------------------------------


def test_a_proposed_place_is_held_for_its_owner_until_the_deadline(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    proposal = asked(session, tam, booking, sem, 36)
    assert (proposal.kind, proposal.starts_at) == (ProposalKind.LATER, NOW + 36 * HOUR)
    assert NOW < proposal.deadline <= booking.starts_at
    with pytest.raises(Refused):
        place(session, cleo, sem, 36, 37)
    told = session.scalars(select(Event).where(Event.kind == "proposal.made")).one()
    assert told.data["person_id"] == str(ada.person_id)


def test_a_neighbour_who_agreed_makes_room_at_once_and_nobody_else_is_moved(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    willing = place(session, cleo, sem, 36, 38, may_move=True)
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    repaired(session, row, (booking, True, 36), (willing, False, 40))
    send(session, tam, row)
    assert willing.starts_at == NOW + 40 * HOUR
    proposals.answer(session, actor=ada, proposal_id=row.proposals[0].id, answer=Answer.ACCEPT, now=NOW)
    assert booking.starts_at == NOW + 36 * HOUR


def test_a_repair_that_the_calendar_has_overtaken_is_not_sent(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    repaired(session, row, (booking, True, 36))
    place(session, cleo, sem, 36, 37)
    session.commit()
    proposal = send(session, tam, row).proposals[0]
    # The place is gone, and so it is not proposed: the owner hears that there is none.
    assert (proposal.kind, proposal.why) == (ProposalKind.NO_PLACE, "taken")


def test_nobody_is_asked_twice_at_once_about_a_booking(session, tam, ada, sem):
    booking = place(session, ada, sem, 24, 26)
    first, second = close(session, tam, sem, 20, 25), close(session, tam, sem, 25, 30)
    rows = [begin(session, tam, first), begin(session, tam, second)]
    for _ in rows:
        run = solver_runs.take_up(session, now=NOW)
        start = datetime.fromisoformat(run.names["start"])
        slot = (NOW + 36 * HOUR - start) // timedelta(minutes=15)
        change = {"wish": 0, "hit": True, "after": [[0, slot]], "cost": 100, "slots": 4}
        result = {"repairs": [{"kind": "least", "cost": 100, "bound": 100, "changes": [change]}]}
        solver_runs.end(session, run_id=run.id, result=result, now=NOW)
    send(session, tam, rows[0])
    with pytest.raises(Refused) as found:
        send(session, tam, rows[1])
    assert [reason.code for reason in found.value.reasons] == ["repair_outdated"]
    with pytest.raises(Refused) as found:
        replans.again(session, actor=tam, replan_id=rows[1].id, now=NOW)
    assert [reason.code for reason in found.value.reasons] == ["nothing_displaced"]
    proposals.answer(session, actor=ada, proposal_id=rows[0].proposals[0].id, answer=Answer.ACCEPT, now=NOW)
    assert booking.starts_at == NOW + 36 * HOUR


def test_a_booking_that_its_owner_moved_meanwhile_is_not_asked_about(session, tam, ada, sem):
    booking = place(session, ada, sem, 24, 26)
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    repaired(session, row, (booking, True, 36))
    items = [Item(sem.id, span(50, 52))]
    bookings.change(session, actor=ada, booking_id=booking.id, version=None, items=items, now=NOW)
    with pytest.raises(Refused) as found:
        send(session, tam, row)
    assert [reason.code for reason in found.value.reasons] == ["repair_outdated"]


def test_only_the_manager_begins_and_sends_and_only_the_staff_look(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    closure = close(session, tam, sem, 20, 30)
    with pytest.raises(Forbidden):
        begin(session, ada, closure)
    row = begin(session, tam, closure)
    repaired(session, row, (booking, True, 36))
    with pytest.raises(Forbidden):
        replans.send(session, actor=cleo, replan_id=row.id, chosen=0, key=KEY, now=NOW)
    with pytest.raises(Forbidden):
        replans.get(session, actor=ada, replan_id=row.id)


# --- answers --------------------------------------------------------------------------------------


def test_accepted_the_booking_moves_and_the_hold_is_gone(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    proposal = asked(session, tam, booking, sem, 36)
    for _ in range(2):
        proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert (booking.starts_at, booking.state) == (NOW + 36 * HOUR, State.CONFIRMED)
    assert proposal.state is ProposalState.ACCEPTED
    assert proposal.hold_id is None
    assert replans.get(session, actor=tam, replan_id=proposal.replan_id).state is ReplanState.OVER


def test_given_up_nobody_is_marked_down_and_who_waits_is_in_line(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    proposal = asked(session, tam, booking, sem, 36)
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.WAIT, now=NOW)
    assert booking.state is State.CANCELLED
    assert session.scalars(select(CreditEntry)).all() == []
    waits = session.scalars(select(WaitlistEntry)).one()
    assert (waits.person_id, waits.minutes) == (ada.person_id, 120)
    place(session, cleo, sem, 36, 37)


def test_nobody_answers_for_somebody_else_or_twice_or_late(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    proposal = asked(session, tam, booking, sem, 36)
    with pytest.raises(NotFound):
        proposals.answer(session, actor=cleo, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    with pytest.raises(Refused) as late:
        proposals.answer(
            session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=proposal.deadline
        )
    assert [reason.code for reason in late.value.reasons] == ["proposal_over"]
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.CANCEL, now=NOW)
    with pytest.raises(Refused):
        proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)


@pytest.mark.parametrize(
    ("agreed", "state", "hour"),
    [
        (IfSilent.STAY, State.CONFIRMED, 24),
        (IfSilent.MOVE, State.CONFIRMED, 36),
        (IfSilent.CANCEL, State.CANCELLED, 24),
        (IfSilent.WAIT, State.CANCELLED, 24),
    ],
)
def test_silence_means_what_the_owner_agreed_to(session, tam, ada, sem, agreed, state, hour):
    booking = place(session, ada, sem, 24, 26, if_silent=agreed)
    proposal = asked(session, tam, booking, sem, 36)
    assert proposals.unanswered(session, now=proposal.deadline - HOUR / 60) == []
    assert proposals.unanswered(session, now=proposal.deadline) == [proposal.id]
    for _ in range(2):
        proposals.silent(session, proposal_id=proposal.id, now=proposal.deadline)
    assert (booking.state, booking.starts_at) == (state, NOW + hour * HOUR)
    assert proposal.state is ProposalState.SILENT
    assert bool(session.scalars(select(WaitlistEntry)).all()) is (agreed is IfSilent.WAIT)


def test_what_is_open_again_displaces_nobody_and_silence_means_nothing(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26, if_silent=IfSilent.MOVE)
    closure = close(session, tam, sem, 20, 30)
    row = begin(session, tam, closure)
    repaired(session, row, (booking, True, 36))
    [proposal] = send(session, tam, row).proposals
    deadline = proposal.deadline
    closures.lift(session, actor=tam, closure_id=closure.id, now=NOW)
    assert (row.state, proposal.state) == (ReplanState.OVER, ProposalState.WITHDRAWN)
    assert proposals.silent(session, proposal_id=proposal.id, now=deadline) is None
    assert booking.starts_at == NOW + 24 * HOUR
    place(session, cleo, sem, 36, 38)
    other = close(session, tam, sem, 20, 30)
    again = begin(session, tam, other)
    repaired(session, again, (booking, True, 40))
    other.lifted_at = NOW
    for late in (lambda: send(session, tam, again), lambda: begin(session, tam, other)):
        with pytest.raises(Refused) as found:
            late()
        assert [reason.code for reason in found.value.reasons] == ["nothing_displaced"]


def test_what_is_withdrawn_gives_its_place_back(session, tam, ada, cleo, sem):
    booking = place(session, ada, sem, 24, 26)
    proposal = asked(session, tam, booking, sem, 36)
    replans.withdraw(session, actor=tam, replan_id=proposal.replan_id, now=NOW)
    assert proposal.state is ProposalState.WITHDRAWN
    place(session, cleo, sem, 36, 38)


# --- who hears, and what is promised --------------------------------------------------------------


def told(session, kind) -> list[str]:
    return [event.data["person_id"] for event in session.scalars(select(Event).where(Event.kind == kind))]


def test_who_was_asked_hears_that_it_is_taken_back(session, tam, ada, cleo, sem):
    booking, other = place(session, ada, sem, 24, 26), place(session, cleo, sem, 26, 28)
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    repaired(session, row, (booking, True, 36), (other, True, 40))
    send(session, tam, row)
    proposals.answer(session, actor=ada, proposal_id=row.proposals[0].id, answer=Answer.ACCEPT, now=NOW)
    replans.withdraw(session, actor=tam, replan_id=row.id, now=NOW)
    assert told(session, "proposal.withdrawn") == [str(cleo.person_id)]


def test_who_stayed_hears_that_a_closure_is_lifted_and_nobody_twice(session, tam, ada, cleo, sem):
    moved, asked = place(session, ada, sem, 24, 26), place(session, cleo, sem, 26, 28)
    closure = close(session, tam, sem, 20, 30)
    row = begin(session, tam, closure)
    repaired(session, row, (moved, True, 36), (asked, True, 40))
    send(session, tam, row)
    proposals.answer(session, actor=ada, proposal_id=row.proposals[0].id, answer=Answer.ACCEPT, now=NOW)
    for _ in range(2):
        closures.lift(session, actor=tam, closure_id=closure.id, now=NOW)
    assert told(session, "booking.stands") == [str(cleo.person_id)]
    assert told(session, "proposal.withdrawn") == []


def test_nothing_moves_without_its_owners_word_and_nobody_else_is_touched(session, tam, ada, cleo, sem):
    hit = [place(session, ada, sem, 21 + 2 * n, 22 + 2 * n) for n in range(4)]
    beside = [place(session, cleo, sem, 30 + 2 * n, 31 + 2 * n) for n in range(6)]
    stood = {one.id: (one.starts_at, one.version, one.state) for one in (*hit, *beside)}
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    solved(session, row)
    for repair in replans.repairs(session.get_one(SolverRun, row.run_id)):
        assert {change.booking_id for change in repair.changes} == {one.id for one in hit}
    send(session, tam, row)
    assert {one.id: (one.starts_at, one.version, one.state) for one in (*hit, *beside)} == stood
    proposals.answer(session, actor=ada, proposal_id=row.proposals[0].id, answer=Answer.ACCEPT, now=NOW)
    changed = [one for one in (*hit, *beside) if one.starts_at != stood[one.id][0]]
    assert [one.id for one in changed] == [row.proposals[0].booking_id]


def test_a_place_is_judged_by_the_rules_of_the_hand_and_refused_when_they_changed(
    session, tam, ada, cleo, sem
):
    booking = place(session, ada, sem, 24, 26)
    proposal = asked(session, tam, booking, sem, 36)
    sem.longest_minutes = 60
    session.flush()
    session.info.clear()
    with pytest.raises(Refused) as found, session.begin_nested():
        proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert [reason.code for reason in found.value.reasons] == ["too_long"]
    session.expire_all()
    assert proposal.state is ProposalState.OPEN
    assert booking.starts_at == NOW + 24 * HOUR


def test_old_runs_are_dropped_but_for_those_that_something_names(session, tam, ada, sem):
    place(session, ada, sem, 24, 26)
    row = begin(session, tam, close(session, tam, sem, 20, 30))
    first = row.run_id
    replans.again(session, actor=tam, replan_id=row.id, now=NOW)
    named = row.run_id
    replans.again(session, actor=tam, replan_id=row.id, now=NOW)
    row.run_id = named
    session.flush()
    late = NOW + timedelta(days=31)
    under_way = session.scalars(select(SolverRun.id).where(SolverRun.state == "queued")).all()
    solver_runs.prune(session, before=NOW)
    assert len(session.scalars(select(SolverRun.id)).all()) == 3
    solver_runs.prune(session, before=late - timedelta(days=30))
    kept = set(session.scalars(select(SolverRun.id)))
    assert kept == {named, *under_way}
    assert first not in kept

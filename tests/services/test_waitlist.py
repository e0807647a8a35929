"""The waitlist on both engines: who is offered what came free, and what becomes of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.lifecycle import State
from booking.domain.occupation import Item, Kind
from booking.domain.one_time import hashed, secret
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, closures, occupation, offers, turns, waitlist
from booking.services.catalogue import Filters
from models import (
    Booking,
    Capability,
    ClosureKind,
    EntryState,
    Event,
    Freed,
    Hold,
    Instrument,
    Membership,
    Occupation,
    OfferState,
    OneTimeLink,
    Person,
    WaitlistEntry,
    WaitlistOffer,
)
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.services.test_availability import Statements
from tests.services.test_policies import make_rule

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
KEY = "a key for tests"
DAY = 24


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
def ben(session) -> Actor:
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def cleo(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    return cast.actor_of(session, person)


def place(session, actor, instrument, start=DAY, end=DAY + 2, quantity=1, now=NOW) -> Booking:
    items = [Item(instrument.id, span(start, end), quantity)]
    return bookings.place(session, actor=actor, items=items, now=now)


def cancel(session, actor, booking, now=NOW) -> None:
    bookings.cancel(session, actor=actor, booking_id=booking.id, now=now)


def join(session, actor, *instruments, start=DAY, end=DAY + 2, minutes=120, now=NOW, **more) -> WaitlistEntry:
    return waitlist.join(
        session,
        actor=actor,
        instrument_ids=[instrument.id for instrument in instruments],
        window=span(start, end),
        minutes=minutes,
        now=now,
        **more,
    )


def serve(session, now=NOW) -> list[WaitlistOffer]:
    """Do what the job does, in one transaction."""
    for offer_id in offers.unanswered(session, now=now):
        assert offers.pass_on(session, offer_id=offer_id, now=now)
    made = []
    for freed in turns.work(session):
        tried = set()
        while (choice := turns.choose(session, freed=freed, skip=tried, now=now)) is not None:
            tried.add(choice.entry_id)
            made += [offers.offer(session, choice=choice, key=KEY, now=now)]
        turns.done(session, freed=freed)
    return made


def kinds(session, entry) -> list[str]:
    query = select(Event.kind).where(Event.subject == str(entry.id)).order_by(Event.id)
    return [kind.removeprefix("waitlist.") for kind in session.scalars(query)]


def codes(refused) -> list[str]:
    return [reason.code for reason in refused.value.reasons]


def test_who_comes_first_is_offered_what_comes_free_and_nobody_else(session, ada, ben, cleo, sem):
    booking = place(session, ada, sem)
    first = join(session, cleo, sem)
    second = join(session, ben, sem, now=NOW + timedelta(minutes=1))
    assert serve(session) == []
    cancel(session, ada, booking)
    (offer,) = serve(session)
    assert (offer.entry_id, offer.instrument_id) == (first.id, sem.id)
    assert Span(offer.starts_at, offer.ends_at) == span(DAY, DAY + 2)
    assert offer.deadline == NOW + timedelta(minutes=60)
    assert (first.state, second.state) == (EntryState.OFFERED, EntryState.WAITING)
    for other in (ada, ben):
        with pytest.raises(Refused):
            place(session, other, sem)
    told = session.scalars(select(Event).where(Event.kind == "waitlist.offered")).all()
    assert [event.data["person_id"] for event in told] == [str(cleo.person_id)]
    assert told[0].data["offer_id"] == str(offer.id)
    link = session.get(OneTimeLink, UUID(told[0].data["link_id"]))
    assert (link.subject, link.expires_at) == (str(offer.id), offer.deadline)
    assert link.secret_hash == hashed(secret(KEY, link.id))
    assert serve(session) == []


def test_an_accepted_offer_is_a_booking(session, ada, cleo, sem):
    entry = join(session, cleo, sem, purpose="Films")
    (offer,) = serve(session)
    with pytest.raises(NotFound):
        offers.accept(session, actor=ada, offer_id=offer.id, now=NOW)
    booking = offers.accept(session, actor=cleo, offer_id=offer.id, now=NOW)
    assert (booking.state, booking.purpose, booking.person_id) == (State.CONFIRMED, "Films", cleo.person_id)
    assert [row.kind for row in session.scalars(select(Occupation))] == [Kind.BOOKING]
    assert (entry.state, entry.booking_id, offer.state) == (EntryState.SERVED, booking.id, OfferState.TAKEN)
    assert kinds(session, entry) == ["joined", "offered", "taken"]
    again = offers.accept(session, actor=cleo, offer_id=offer.id, now=NOW)
    assert again.id == booking.id
    assert session.scalar(select(func.count()).select_from(Booking)) == 1


def test_where_approval_is_needed_the_taken_offer_is_a_request(session, cleo):
    oven = make_instrument(session, approval_required=True)
    join(session, cleo, oven)
    (offer,) = serve(session)
    assert offers.accept(session, actor=cleo, offer_id=offer.id, now=NOW).state is State.REQUESTED


def test_a_declined_offer_goes_to_the_next(session, ada, ben, cleo, sem):
    first, second = join(session, cleo, sem), join(session, ben, sem, now=NOW + timedelta(minutes=1))
    (offer,) = serve(session, NOW + timedelta(minutes=2))
    offers.decline(session, actor=cleo, offer_id=offer.id, now=NOW + timedelta(minutes=3))
    (following,) = serve(session, NOW + timedelta(minutes=3))
    assert following.entry_id == second.id
    assert first.state is EntryState.LEFT  # it was the only time that they asked for
    with pytest.raises(Refused) as refused:
        offers.accept(session, actor=cleo, offer_id=offer.id, now=NOW + timedelta(minutes=4))
    assert codes(refused) == ["offer_over"]


def test_silence_passes_it_on_after_a_pause_of_hours_too(session, ben, cleo, sem):
    first, second = join(session, cleo, sem), join(session, ben, sem, now=NOW + timedelta(minutes=1))
    (offer,) = serve(session, NOW + timedelta(minutes=2))
    late = NOW + timedelta(hours=9)
    with pytest.raises(Refused) as refused:
        offers.accept(session, actor=cleo, offer_id=offer.id, now=offer.deadline)
    assert codes(refused) == ["offer_over"]
    (following,) = serve(session, late)
    assert (following.entry_id, following.deadline) == (second.id, late + timedelta(minutes=60))
    assert (first.state, kinds(session, first)) == (EntryState.LAPSED, ["joined", "offered", "silent"])
    assert serve(session, late) == []
    offers.accept(session, actor=ben, offer_id=following.id, now=late)


def test_an_offer_that_ran_out_holds_nothing_though_no_job_ran(session, ada, cleo, sem):
    join(session, cleo, sem)
    (offer,) = serve(session)
    place(session, ada, sem, now=offer.deadline)
    with pytest.raises(Refused):
        offers.accept(session, actor=cleo, offer_id=offer.id, now=offer.deadline)


def test_nobody_can_use_the_offer_of_another_nor_the_form_their_own(session, ben, cleo, sem):
    join(session, cleo, sem)
    (offer,) = serve(session)
    for who in (ben, cleo):
        with pytest.raises(Refused):
            place(session, who, sem)
    assert session.get(Hold, offer.hold_id).offered


def test_a_flexible_wish_takes_what_fits_and_passes_other_times_by(session, ada, cleo):
    lab = make_facility(session)
    small = make_instrument(session, lab, code="SMALL")
    tanks = [make_instrument(session, lab, code=f"TANK{n}", setup_minutes=60) for n in range(2)]
    for row, litres in ((small, 10), (tanks[0], 50), (tanks[1], 80)):
        session.add(Capability(instrument_id=row.id, tag="volume_l", value=Decimal(litres), unit="L"))
    session.flush()
    taken = [place(session, ada, tank, 10, 60) for tank in tanks]
    chosen = waitlist.instruments_for(session, actor=cleo, filters=Filters(capability="volume_l>=50"))
    assert chosen == [tank.id for tank in tanks]
    entry = join(session, cleo, *tanks, start=12, end=60, minutes=360, wish="6 h on ≥ 50 L")
    assert serve(session) == []
    cancel(session, ada, taken[1])
    (offer,) = serve(session)
    assert (offer.instrument_id, Span(offer.starts_at, offer.ends_at)) == (tanks[1].id, span(12, 18))
    offers.decline(session, actor=cleo, offer_id=offer.id, now=NOW)
    assert entry.state is EntryState.WAITING
    (offer,) = serve(session)
    assert Span(offer.starts_at, offer.ends_at) == span(18, 24)


def test_the_rest_of_a_freed_time_goes_to_the_next(session, ada, ben, cleo, sem):
    booking = place(session, ada, sem, DAY, DAY + 4)
    join(session, cleo, sem, end=DAY + 4)
    join(session, ben, sem, end=DAY + 4, now=NOW + timedelta(minutes=1))
    serve(session)
    cancel(session, ada, booking)
    spans = [Span(offer.starts_at, offer.ends_at) for offer in serve(session)]
    assert spans == [span(DAY, DAY + 2), span(DAY + 2, DAY + 4)]


def test_priority_then_time_then_who_used_less_of_late(session, ada, ben, cleo, tam, sem):
    other = make_instrument(session)
    used = place(session, ada, other, 1, 3)
    assert used.state is State.CONFIRMED
    now = NOW + timedelta(hours=4)
    taken = place(session, tam, sem, now=now)
    entries = {
        "ada": join(session, ada, sem, now=now),
        "ben": join(session, ben, sem, now=now + timedelta(seconds=30)),
        "cleo": join(session, cleo, sem, now=now + timedelta(minutes=1)),
    }
    waitlist.rank(session, actor=tam, entry_id=entries["cleo"].id, priority=50, reason="Urgent run", now=now)
    cancel(session, tam, taken, now)
    order = []
    for _ in entries:
        (offer,) = serve(session, now + timedelta(minutes=2))
        entry = session.get(WaitlistEntry, offer.entry_id)
        order.append(next(name for name, one in entries.items() if one is entry))
        who = {"ada": ada, "ben": ben, "cleo": cleo}[order[-1]]
        offers.decline(session, actor=who, offer_id=offer.id, now=now + timedelta(minutes=2))
    assert order == ["cleo", "ben", "ada"]  # Ada joined first in her minute, but had two hours of late


def test_only_the_manager_ranks_and_says_why(session, ben, cleo, tam, sem):
    entry = join(session, cleo, sem)
    with pytest.raises(NotFound):
        waitlist.rank(session, actor=ben, entry_id=entry.id, priority=1, reason="because", now=NOW)
    with pytest.raises(Forbidden):
        waitlist.rank(session, actor=cleo, entry_id=entry.id, priority=1, reason="because", now=NOW)
    with pytest.raises(Invalid):
        waitlist.rank(session, actor=tam, entry_id=entry.id, priority=1, reason=" ", now=NOW)
    waitlist.rank(session, actor=tam, entry_id=entry.id, priority=1, reason="Urgent run", now=NOW)
    event = session.scalars(select(Event).where(Event.kind == "waitlist.ranked")).one()
    assert (event.data["before"], event.data["after"], event.data["reason"]) == (100, 1, "Urgent run")


def test_whom_a_gate_refuses_is_passed_over(session, ben, cleo, sem, monkeypatch):
    from booking.domain.rules import Reason
    from booking.services import gates

    join(session, cleo, sem)
    second = join(session, ben, sem, now=NOW + timedelta(minutes=1))
    shut = lambda _session, wish: [Reason("past")] if wish.person_id == cleo.person_id else []  # noqa: E731
    monkeypatch.setattr(gates, "GATES", (*gates.GATES, shut))
    (offer,) = serve(session, NOW + timedelta(minutes=2))
    assert offer.entry_id == second.id


def test_a_flexible_wish_is_tried_at_other_times_where_a_gate_refuses_the_first(
    session, cleo, sem, monkeypatch
):
    from booking.domain.rules import Reason
    from booking.services import gates

    noon = span(DAY + 4, DAY + 5).start
    shut = lambda _session, wish: [Reason("past")] if wish.items[0].span.start < noon else []  # noqa: E731
    monkeypatch.setattr(gates, "GATES", (*gates.GATES, shut))
    join(session, cleo, sem, end=DAY + 12)
    (offer,) = serve(session)
    assert Span(offer.starts_at, offer.ends_at) == span(DAY + 4, DAY + 6)


def test_who_was_disabled_is_passed_over(session, ben, cleo, sem):
    join(session, cleo, sem)
    second = join(session, ben, sem, now=NOW + timedelta(minutes=1))
    person = session.get(Person, cleo.person_id)
    person.state = type(person.state)("disabled")
    session.flush()
    (offer,) = serve(session, NOW + timedelta(minutes=2))
    assert offer.entry_id == second.id


@pytest.mark.parametrize("way", ["cancel", "shorten", "move", "check out", "closure", "hold"])
def test_every_way_in_which_time_comes_free_is_noticed(session, ada, cleo, tam, sem, way):
    from booking.services import holds

    later = NOW
    if way == "closure":
        closure, _met = closures.make(
            session,
            actor=tam,
            facility_id=sem.facility_id,
            instrument_id=sem.id,
            span=span(DAY, DAY + 4),
            kind=ClosureKind.MAINTENANCE,
            reason="",
            imposed=False,
            now=NOW,
        )
    elif way == "hold":
        holds.take(session, actor=ada, items=[Item(sem.id, span(DAY, DAY + 4))], now=NOW)
        later = NOW + timedelta(minutes=6)
    else:
        booking = place(session, ada, sem, DAY, DAY + 4)
    join(session, cleo, sem, start=DAY + 2, end=DAY + 4)
    assert serve(session) == []
    if way == "cancel":
        cancel(session, ada, booking)
    elif way in {"shorten", "move"}:
        new = span(DAY, DAY + 2) if way == "shorten" else span(DAY + 6, DAY + 10)
        bookings.change(
            session,
            actor=ada,
            booking_id=booking.id,
            version=None,
            items=[Item(sem.id, new)],
            now=NOW,
        )
    elif way == "check out":
        at = NOW + timedelta(hours=DAY)
        bookings.check_in(session, actor=ada, booking_id=booking.id, now=at)
        later = at + timedelta(hours=1)
        bookings.check_out(session, actor=ada, booking_id=booking.id, now=later)
    elif way == "closure":
        closures.lift(session, actor=tam, closure_id=closure.id, now=NOW)
    else:
        occupation.release_expired(session, now=later)
    assert len(serve(session, later)) == 1


def test_nothing_is_noted_where_nobody_waits(session, ada, cleo, sem):
    join(session, cleo, make_instrument(session), start=DAY, end=DAY + 2)
    join(session, cleo, sem, start=30 * DAY, end=30 * DAY + 2)
    serve(session)
    cancel(session, ada, place(session, ada, sem))
    assert session.scalar(select(func.count()).select_from(Freed)) == 0


def test_a_station_that_comes_free_is_offered_to_who_waits_for_the_line(session, ada, cleo):
    lab = make_facility(session)
    mill = make_instrument(session, lab)
    whole = make_instrument(session, lab, stations=[mill])
    booking = place(session, ada, mill)
    join(session, cleo, whole)
    assert serve(session) == []
    cancel(session, ada, booking)
    (offer,) = serve(session)
    assert offer.instrument_id == whole.id


def test_buffers_count_and_what_frees_them_is_noticed(session, ada, cleo):
    furnace = make_instrument(session, cleanup_minutes=120)
    after = place(session, ada, furnace, DAY + 3, DAY + 4)
    join(session, cleo, furnace)
    assert serve(session) == []
    cancel(session, ada, after)
    assert len(serve(session)) == 1


def test_an_offer_stands_shorter_when_the_start_is_near(session, ada, cleo, sem):
    join(session, cleo, sem, start=1, end=3)
    (offer,) = serve(session)
    assert offer.deadline == NOW + timedelta(minutes=30)
    soon = make_instrument(session)
    join(session, cleo, soon, start=1, end=3)
    assert serve(session, NOW + timedelta(minutes=57)) == []


def test_the_same_wish_twice_is_one_place(session, cleo, sem):
    assert join(session, cleo, sem).id == join(session, cleo, sem).id


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"start": -3, "end": -1}, "end:out_of_range"),
        ({"end": DAY, "minutes": 60}, "end:inverted"),
        ({"minutes": 121}, "duration:out_of_range"),
        ({"minutes": 0}, "duration:out_of_range"),
        ({"quantity": 0}, "quantity:too_small"),
        ({"end": 200 * DAY}, "end:out_of_range"),
    ],
)
def test_a_wish_that_makes_no_sense_is_invalid(session, cleo, sem, wish, code):
    with pytest.raises(Invalid) as invalid:
        join(session, cleo, sem, **wish)
    assert [f"{name}:{what}" for name, what in invalid.value.errors.items()] == [code]


def test_what_could_never_be_had_is_refused_with_the_reasons(session, cleo, sem):
    with pytest.raises(Refused) as refused:
        join(session, cleo, sem, start=DAY, end=DAY + 2, quantity=2)
    assert codes(refused) == ["too_many_units"]
    short = make_instrument(session, longest_minutes=60)
    with pytest.raises(Refused) as refused:
        join(session, cleo, short, start=DAY, end=3 * DAY, minutes=120)
    assert codes(refused) == ["too_long"]
    entry = join(session, cleo, short, sem, start=DAY, end=3 * DAY, minutes=120)
    assert [one.instrument_id for one in entry.places] == [sem.id]
    hidden = make_instrument(session, published=False)
    with pytest.raises(NotFound):
        join(session, cleo, hidden)
    with pytest.raises(NotFound):
        join(session, cleo, sem, project_id=uuid4(), minutes=60)


def test_nobody_waits_in_too_many_lines(session, cleo, sem, monkeypatch):
    monkeypatch.setattr(waitlist, "MOST_PLACES", 1)
    join(session, cleo, sem)
    with pytest.raises(Refused) as refused:
        join(session, cleo, sem, start=DAY + 4, end=DAY + 6)
    assert codes(refused) == ["in_line_too_often"]


def test_who_leaves_gives_what_was_offered_to_the_next(session, ben, cleo, sem):
    first, second = join(session, cleo, sem), join(session, ben, sem, now=NOW + timedelta(minutes=1))
    serve(session, NOW + timedelta(minutes=2))
    with pytest.raises(NotFound):
        waitlist.leave(session, actor=ben, entry_id=first.id, now=NOW)
    waitlist.leave(session, actor=cleo, entry_id=first.id, now=NOW + timedelta(minutes=3))
    assert first.state is EntryState.LEFT
    (offer,) = serve(session, NOW + timedelta(minutes=3))
    assert offer.entry_id == second.id
    waitlist.leave(session, actor=cleo, entry_id=first.id, now=NOW + timedelta(minutes=4))
    assert kinds(session, first) == ["joined", "offered", "left"]


def test_a_place_lapses_when_its_window_is_over(session, ada, cleo, sem):
    place(session, ada, sem, DAY, DAY + 10)
    entry = join(session, cleo, sem, end=DAY + 10)
    serve(session)
    last = NOW + timedelta(hours=DAY + 8)
    assert waitlist.too_late(session, now=last - timedelta(minutes=1)) == []
    assert waitlist.too_late(session, now=last) == [entry.id]
    assert waitlist.lapse(session, entry_id=entry.id, now=last)
    assert not waitlist.lapse(session, entry_id=entry.id, now=last)
    assert (entry.state, kinds(session, entry)[-1]) == (EntryState.LAPSED, "lapsed")


def test_rules_that_became_milder_are_noticed_when_all_is_looked_at(session, cleo, sem):
    join(session, cleo, sem)
    sem.bookable = False
    session.flush()
    assert serve(session) == []
    sem.bookable = True
    session.flush()
    assert serve(session) == []
    turns.look_at_all(session, now=NOW)
    assert len(serve(session)) == 1


def test_one_sees_one_s_place_and_the_manager_the_whole_line(session, ada, ben, cleo, tam, sem):
    place(session, ada, sem, 0, 3 * DAY)
    join(session, cleo, sem)
    join(session, ada, sem, start=2 * DAY, end=2 * DAY + 2, now=NOW + timedelta(minutes=1))
    own = join(session, ben, sem, start=DAY, end=3 * DAY, now=NOW + timedelta(minutes=2))
    (seen,) = waitlist.mine(session, actor=ben)
    assert (seen.entry.id, seen.ahead, seen.offer) == (own.id, 2, None)
    assert [one.ahead for one in waitlist.mine(session, actor=ada)] == [0]
    found, total = waitlist.of_facility(session, actor=tam, facility_id=sem.facility_id)
    assert total == 3
    assert [one.entry.person.name for one in found] == ["Cleo", "Ada", "Ben"]
    with pytest.raises(Forbidden):
        waitlist.of_facility(session, actor=ben, facility_id=sem.facility_id)
    with pytest.raises(NotFound):
        waitlist.get(session, actor=cleo, entry_id=own.id)
    assert waitlist.get(session, actor=tam, entry_id=own.id).entry.id == own.id


def test_statements_do_not_grow_with_a_line_that_the_rules_refuse(session, sem):
    people = [Person(email=f"{n}@example.org", name="Ada", created_at=NOW) for n in range(30)]
    session.add_all(people)
    session.flush()
    entries = [join(session, cast.actor_of(session, person), sem).id for person in people]
    make_rule(session, "longest", 60, instrument_id=sem.id)
    freed = turns.Work(sem.id, (), span(DAY, DAY + 2))
    counts = []
    for skip in (entries[3:], []):
        with Statements(session) as statements:
            assert turns.choose(session, freed=freed, skip=skip, now=NOW) is None
        counts.append(statements.count)
    assert counts[1] <= counts[0] < 20

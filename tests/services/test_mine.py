"""One's own desk on both engines: hours, money, limits, the group, favourites, and nothing of others."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from booking.domain.access import SYSTEM, Forbidden, NotFound
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.quotas import Period
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.domain.utilisation import HOUR, Measure
from booking.services import bookings, favourites, mine, quotas, targets
from booking.services.targets import Draft
from models import Event, Project, ProjectMember, Rule
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 18, 4, tzinfo=UTC)
LONG_BEFORE = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = Span(datetime(2026, 10, 31, 16, tzinfo=UTC), datetime(2026, 11, 30, 16, tzinfo=UTC))


def span(day: int, first: int, last: int) -> Span:
    return Span(datetime(2026, 11, day, first, tzinfo=UTC), datetime(2026, 11, day, last, tzinfo=UTC))


def book(session, person, row, when: Span, *, project=None, quantity: int = 1):
    actor = cast.actor_of(session, person)
    return bookings.place(
        session,
        actor=actor,
        items=[Item(row.id, when, quantity)],
        project_id=project.id if project else None,
        now=LONG_BEFORE,
    )


@pytest.fixture
def sem(session):
    return make_instrument(session, price=100)


@pytest.fixture
def films(session):
    ada = cast.ada(session)
    row = Project(
        code="P-1", name="Thin films", organisation_id=cast.university(session).id, leader_id=ada.id
    )
    session.add(row)
    session.flush()
    session.add_all(
        ProjectMember(project_id=row.id, person_id=person.id) for person in (ada, cast.ben(session))
    )
    session.flush()
    return row


def test_money_is_told_by_project_past_and_ahead(session, sem, films):
    ben = cast.ben(session)
    other = make_instrument(session)  # its price is negotiated
    book(session, ben, sem, span(3, 1, 3), project=films)
    book(session, ben, sem, span(25, 1, 4), project=films)
    book(session, ben, sem, span(26, 1, 2))
    book(session, ben, other, span(26, 3, 4))
    book(session, cast.ada(session), sem, span(27, 1, 9), project=films)  # not Ben's
    given_up = book(session, ben, sem, span(28, 1, 9), project=films)
    bookings.cancel(session, actor=SYSTEM, booking_id=given_up.id, reason="", now=LONG_BEFORE)
    actor = cast.actor_of(session, ben)
    found = mine.spending(session, actor=actor, within=MONTH, now=NOW)
    assert [(one.project, one.past, one.ahead, one.open) for one in found] == [
        (films, Decimal(200), Decimal(300), 0),
        (None, Decimal(0), Decimal(100), 1),
    ]
    assert found[0].total == 500
    assert mine.hours_booked(session, actor=actor, within=MONTH) == 7 * HOUR
    december = Span(MONTH.end, MONTH.end + timedelta(days=31))
    assert mine.spending(session, actor=actor, within=december, now=NOW) == []


def test_a_leader_sees_the_group_by_person_and_project(session, sem, films):
    ada, ben, cleo = cast.ada(session), cast.ben(session), cast.cleo(session)
    book(session, ben, sem, span(3, 1, 3), project=films)
    book(session, ben, sem, span(4, 1, 2))
    book(session, ada, sem, span(5, 1, 2), project=films)
    book(session, cleo, sem, span(6, 1, 9))
    found = mine.group(session, actor=cast.actor_of(session, ada), within=MONTH)
    assert [(one.person, one.project, one.bookings, one.seconds) for one in found] == [
        ("Ben", films, 1, 2 * HOUR),
        ("Ada", films, 1, HOUR),
        ("Ben", None, 1, HOUR),
    ]
    for person in (ben, cleo):
        actor = cast.actor_of(session, person)
        assert mine.group(session, actor=actor, within=MONTH) == []
        assert not mine.leads(session, actor=actor)
    assert mine.leads(session, actor=cast.actor_of(session, ada))


def test_limits_are_told_with_what_is_used_and_left(session, sem):
    session.add(
        Rule(
            kind=RuleKind.QUOTA,
            name="person.hours.week",
            value=16 * 60,
            data={"party": "person", "measure": "hours", "period": "week"},
            instrument_id=sem.id,
            valid_from=LONG_BEFORE.date(),
            created_at=LONG_BEFORE,
        )
    )
    session.flush()
    ben = cast.ben(session)
    book(session, ben, sem, span(17, 1, 5))
    book(session, ben, sem, span(19, 1, 3))
    book(session, ben, sem, span(24, 1, 9))  # the week after
    book(session, cast.ada(session), sem, span(20, 1, 9))  # hers
    (found,) = quotas.balances(session, actor=cast.actor_of(session, ben), places=[sem], now=NOW)
    assert (found.used, found.left, found.quota.limit) == (6 * 60, 10 * 60, 16 * 60)
    assert found.quota.period is Period.WEEK
    assert found.window.start == datetime(2026, 11, 15, 16, tzinfo=UTC)
    other = make_instrument(session)
    assert quotas.balances(session, actor=cast.actor_of(session, ben), places=[other], now=NOW) == []


def test_feedback_is_asked_for_while_it_counts(session, sem):
    ben = cast.ben(session)
    booking = book(session, ben, sem, span(17, 1, 5))
    bookings.check_in(session, actor=SYSTEM, booking_id=booking.id, now=booking.starts_at)
    bookings.check_out(session, actor=SYSTEM, booking_id=booking.id, now=booking.ends_at)
    actor = cast.actor_of(session, ben)
    soon = booking.ends_at + timedelta(hours=23)
    assert [one.id for one in mine.to_comment(session, actor=actor, now=soon)] == [booking.id]
    assert mine.to_comment(session, actor=actor, now=soon + timedelta(hours=2)) == []
    other = cast.actor_of(session, cast.ada(session))
    assert mine.to_comment(session, actor=other, now=soon) == []
    bookings.feedback(session, actor=actor, booking_id=booking.id, rating=5, now=soon)
    assert mine.to_comment(session, actor=actor, now=soon) == []


def test_favourites_are_ones_own_and_of_what_one_may_see(session, sem, monkeypatch):
    ben, ada = (cast.actor_of(session, person(session)) for person in (cast.ben, cast.ada))
    hidden = make_instrument(session, published=False)
    second = make_instrument(session)
    favourites.add(session, actor=ben, code=sem.code, now=NOW)
    favourites.add(session, actor=ben, code=sem.code, now=NOW)
    favourites.add(session, actor=ben, code=second.code, now=NOW + timedelta(hours=1))
    assert [row.code for row in favourites.listing(session, actor=ben)] == [second.code, sem.code]
    assert favourites.listing(session, actor=ada) == []
    with pytest.raises(NotFound):
        favourites.add(session, actor=ben, code=hidden.code, now=NOW)
    second.published = False
    session.flush()
    assert [row.code for row in favourites.listing(session, actor=ben)] == [sem.code]
    favourites.drop(session, actor=ada, code=sem.code)
    favourites.drop(session, actor=ben, code=sem.code)
    assert favourites.ids(session, actor=ben) == []
    monkeypatch.setattr(favourites, "MOST", 1)
    with pytest.raises(Invalid):
        favourites.add(session, actor=ben, code=sem.code, now=NOW)


def test_targets_are_kept_by_managers_and_noted(session):
    lab = make_facility(session)
    row, far = make_instrument(session, lab), make_instrument(session)
    tam = cast.actor_of(session, cast.tam(session, lab))
    day = LONG_BEFORE.date()

    def put(actor, value, instrument_id=None, facility=lab):
        draft = Draft(Measure.PERCENT, value, day)
        return targets.put(
            session, actor=actor, facility_id=facility.id, instrument_id=instrument_id, draft=draft, now=NOW
        )

    put(tam, 60)
    put(tam, 70)
    put(tam, 80, row.id)
    found = targets.listing(session, actor=tam, facility_id=lab.id)
    assert [(one.instrument_id, one.value) for one in found] == [(None, 70), (row.id, 80)]
    with pytest.raises(NotFound):
        put(tam, 50, far.id)
    with pytest.raises(Invalid):
        put(tam, 101)
    with pytest.raises(Forbidden):
        put(cast.actor_of(session, cast.ada(session)), 50)
    with pytest.raises(Forbidden):
        put(tam, 50, facility=far.facility)
    targets.drop(session, actor=tam, facility_id=lab.id, target_id=found[0].id, now=NOW)
    with pytest.raises(NotFound):
        targets.drop(session, actor=tam, facility_id=lab.id, target_id=found[0].id, now=NOW)
    kinds = [one.kind for one in session.query(Event).order_by(Event.id) if one.kind.startswith("target")]
    assert kinds == ["target.set"] * 3 + ["target.dropped"]

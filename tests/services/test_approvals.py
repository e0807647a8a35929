"""How many requests wait for whom."""

from datetime import timedelta

import pytest

from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import approvals, bookings
from tests import cast
from tests.factories import make_facility, make_instrument


@pytest.fixture
def world(session, now):
    """Tam manages one facility of two; Ada asks for time at his, at the other, and at both together."""
    here, there = make_facility(session), make_facility(session)
    one = make_instrument(session, facility=here, approval_required=True)
    other = make_instrument(session, facility=there, approval_required=True)
    ada = cast.actor_of(session, cast.ada(session))
    tam = cast.actor_of(session, cast.tam(session, here))
    for day, rows in enumerate(([one], [other], [one, other]), start=1):
        span = Span(now + timedelta(days=day), now + timedelta(days=day, hours=1))
        items = [Item(row.id, span) for row in rows]
        bookings.place(session, actor=ada, items=items, now=now)
    session.flush()
    return ada, tam


def test_a_manager_counts_what_waits_for_their_word_their_part_of_a_joint_request_too(session, world):
    _ada, tam = world
    assert approvals.waiting(session, actor=tam) == 2
    assert approvals.waiting(session, actor=tam) == len(approvals.inbox(session, actor=tam))


def test_the_administrator_counts_all_and_others_nothing(session, world):
    ada, _tam = world
    assert approvals.waiting(session, actor=cast.actor_of(session, cast.root(session))) == 3
    for outsider in (ada, cast.actor_of(session, cast.cleo(session))):
        assert approvals.waiting(session, actor=outsider) == 0

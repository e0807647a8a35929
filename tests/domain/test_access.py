"""The permission table: who may, and who may not."""

from uuid import UUID

import pytest

from booking.domain.access import (
    RULES,
    SYSTEM,
    VISITOR,
    Actor,
    Forbidden,
    Role,
    Scope,
    Subject,
    actor_from,
    could,
    may,
    require,
)

ADA, BEN, CLEO, TAM, NORA, ROOT = (UUID(int=n) for n in range(1, 7))
UNIVERSITY, COMPANY, FACILITY, ELSEWHERE, NETWORK = 1, 2, 11, 12, 21

ada = actor_from([(Role.LEADER, UNIVERSITY, None, None)], person_id=ADA)
ben = actor_from([(Role.MEMBER, UNIVERSITY, None, None)], person_id=BEN)
cleo = actor_from([(Role.MEMBER, COMPANY, None, None)], person_id=CLEO)
tam = actor_from([(Role.MANAGER, None, FACILITY, None)], person_id=TAM)
other = actor_from([(Role.MANAGER, None, ELSEWHERE, None)], person_id=UUID(int=9))
nora = actor_from([(Role.OFFICER, None, None, NETWORK)], person_id=NORA)
root = actor_from([(Role.ADMINISTRATOR, None, None, None)], person_id=ROOT)

BENS_BOOKING = Subject(BEN, UNIVERSITY, FACILITY, frozenset({NETWORK}))

EXPECTED = {
    "booking.see": {"ada", "ben", "tam", "root"},
    "booking.change": {"ada", "ben", "tam", "root"},
    "booking.cancel": {"ada", "ben", "tam", "root"},
    "booking.approve": {"tam", "root"},
    "booking.check_in": {"ben", "tam", "root"},
    "booking.feedback": {"ben", "root"},
    "closure.make": {"tam", "root"},
    "fault.see": {"tam", "root"},
    "fault.settle": {"tam", "root"},
    "credit.keep": {"tam", "root"},
    "kiosk.keep": {"tam", "root"},
    "facility.desk": {"tam", "root"},
    "instrument.edit": {"tam", "root"},
    "instrument.see_unpublished": {"tam", "nora", "root"},
    "membership.grant": {"ada", "root"},
    "person.administer": {"root"},
    "event.read": {"root"},
}
PEOPLE = {
    "visitor": VISITOR,
    "ada": ada,
    "ben": ben,
    "cleo": cleo,
    "tam": tam,
    "other": other,
    "nora": nora,
    "root": root,
}


@pytest.mark.parametrize("action", EXPECTED)
def test_exactly_these_may(action):
    assert {name for name, actor in PEOPLE.items() if may(actor, action, BENS_BOOKING)} == EXPECTED[action]


@pytest.mark.parametrize("action", RULES)
def test_a_guard_never_stops_who_may(action):
    for actor in [*PEOPLE.values(), SYSTEM]:
        if may(actor, action, BENS_BOOKING):
            assert could(actor, action)


def test_a_token_does_what_its_scope_says_and_no_more():
    token = Actor(person_id=BEN, scopes=frozenset({Scope.READ}))
    assert may(token, "booking.see", BENS_BOOKING)
    assert not may(token, "booking.change", BENS_BOOKING)
    assert not could(token, "booking.place")
    assert not could(token, "account.keep")


def test_an_administrators_token_is_held_to_its_scope_too():
    token = Actor(person_id=ROOT, administrator=True, scopes=frozenset({Scope.READ}))
    assert not may(token, "booking.approve", BENS_BOOKING)
    assert not may(token, "person.administer")


def test_nobody_is_the_owner_of_what_has_no_owner():
    assert not may(VISITOR, "booking.see", Subject())
    assert not may(Actor(person_id=ADA), "booking.see", Subject())


def test_refusal_tells_a_visitor_to_sign_in():
    with pytest.raises(Forbidden) as refused:
        require(VISITOR, "booking.place")
    assert refused.value.sign_in
    with pytest.raises(Forbidden) as refused:
        require(cleo, "booking.change", BENS_BOOKING)
    assert not refused.value.sign_in

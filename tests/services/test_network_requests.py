"""A facility joins a network when both agree: asked from either side, answered by the other, on both engines."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from booking import i18n, wording
from booking.domain.access import Actor, Forbidden, NotFound
from booking.domain.notices import Hearer
from booking.domain.rules import Invalid, Refused
from booking.services import hearers, network_requests, networks
from models import Event, Facility, JoinState, Network, NetworkFacility
from tests import cast
from tests.factories import make_facility, make_network

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
def lab(session) -> Facility:
    return make_facility(session, code="LAB", name_en="Laboratory")


@pytest.fixture
def net(session) -> Network:
    return make_network(session, code="NET", name_en="Network")


@pytest.fixture
def tam(session, lab) -> Actor:
    return cast.actor_of(session, cast.tam(session, lab))


@pytest.fixture
def nora(session, net) -> Actor:
    return cast.actor_of(session, cast.nora(session, net))


def ask(session, actor, **more):
    return network_requests.ask(session, actor=actor, network="NET", facility="LAB", now=NOW, **more)


def is_in(session, net, lab) -> bool:
    return session.get(NetworkFacility, (net.id, lab.id)) is not None


def told(session, kind) -> set:
    event = session.scalars(select(Event).where(Event.kind == kind)).one()
    managers = hearers.managers_of(session, {event.facility_id})
    return set(hearers.told(hearers.Case(session, event, None, managers, NOW)))


def test_a_manager_asks_and_the_officer_accepts(session, lab, net, tam, nora):
    made = ask(session, tam, note="We have two furnaces.")
    assert (made.by_facility, made.state, is_in(session, net, lab)) == (True, JoinState.OPEN, False)
    assert told(session, "network.applied") == {nora.person_id}
    assert [one.mine_to_answer for one in network_requests.waiting(session, actor=tam)] == [False]
    assert [one.mine_to_answer for one in network_requests.waiting(session, actor=nora)] == [True]
    counts = [network_requests.to_answer(session, actor=one) for one in (tam, nora)]
    assert counts == [0, 1]
    with pytest.raises(NotFound):  # one does not answer oneself
        network_requests.answer(session, actor=tam, request_id=made.id, accept=True, now=NOW)
    network_requests.answer(session, actor=nora, request_id=made.id, accept=True, now=NOW)
    assert is_in(session, net, lab)
    assert told(session, "network.answered") == {tam.person_id}
    assert network_requests.waiting(session, actor=nora) == []
    with pytest.raises(Invalid, match="duplicate"):
        ask(session, tam)


def test_an_officer_asks_and_the_manager_refuses_with_a_reason(session, lab, net, tam, nora):
    made = ask(session, nora)
    assert not made.by_facility
    assert told(session, "network.invited") == {tam.person_id}
    with pytest.raises(Invalid) as error:
        network_requests.answer(session, actor=tam, request_id=made.id, accept=False, reason=" ", now=NOW)
    assert error.value.errors == {"reason": "required"}
    network_requests.answer(session, actor=tam, request_id=made.id, accept=False, reason="Too far", now=NOW)
    assert (made.state, made.reason, is_in(session, net, lab)) == (JoinState.REFUSED, "Too far", False)
    assert told(session, "network.answered") == {nora.person_id}
    with pytest.raises(Refused) as refusal:
        network_requests.answer(session, actor=tam, request_id=made.id, accept=True, now=NOW)
    assert refusal.value.reasons[0].code == "network_request_over"
    assert ask(session, nora) is not None  # it may be asked again


def test_what_both_ask_is_agreed_and_the_same_is_asked_once(session, lab, net, tam, nora):
    ask(session, tam)
    with pytest.raises(Refused) as refusal:
        ask(session, tam)
    with i18n.use_locale("en"):
        (reason,) = refusal.value.reasons
        assert wording.sentence(reason.code, reason.params) == (
            "This is asked already; the other side has not answered yet."
        )
    assert ask(session, nora) is None
    assert is_in(session, net, lab)


def test_a_request_is_taken_back_by_its_own_side_alone(session, lab, net, tam, nora):
    made = ask(session, tam)
    with pytest.raises(NotFound):
        network_requests.withdraw(session, actor=nora, request_id=made.id, now=NOW)
    network_requests.withdraw(session, actor=tam, request_id=made.id, now=NOW)
    assert made.state is JoinState.WITHDRAWN
    assert network_requests.waiting(session, actor=nora) == []
    with pytest.raises(Refused):
        network_requests.answer(session, actor=nora, request_id=made.id, accept=True, now=NOW)
    assert not is_in(session, net, lab)


def test_who_speaks_for_neither_side_asks_nothing_and_sees_nothing(session, lab, net, tam, nora):
    made = ask(session, tam)
    for person in (cast.ada(session), cast.cleo(session)):
        outsider = cast.actor_of(session, person)
        with pytest.raises(Forbidden):
            ask(session, outsider)
        with pytest.raises(Forbidden):
            network_requests.answer(session, actor=outsider, request_id=made.id, accept=True, now=NOW)
    make_facility(session, code="OTHER")
    with pytest.raises(Forbidden):
        network_requests.ask(session, actor=tam, network="NET", facility="OTHER", now=NOW)
    with pytest.raises(Invalid, match="unknown"):
        network_requests.ask(session, actor=tam, network="NOWHERE", facility="LAB", now=NOW)
    assert Hearer.OFFICERS.value == "officers"


def test_who_speaks_for_both_and_administrators_need_no_answer(session, lab, net):
    root = cast.actor_of(session, cast.root(session))
    assert network_requests.sides(session, actor=root) == ([net], [lab])
    assert ask(session, root) is None
    assert is_in(session, net, lab)
    assert networks.of_facilities(session, [lab.id]) == {lab.id: frozenset({net.id})}

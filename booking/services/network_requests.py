"""How facilities join networks: either side asks, the other accepts or refuses; nobody helps themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, NotFound, Subject, could, may
from booking.domain.rules import Invalid, Reason, Refused
from booking.services import events, facilities, networks
from models import Facility, JoinState, Network, NetworkFacility, NetworkRequest, Person

ACTION = "network.answer"
LONGEST_NOTE = 500
MOST = 200


class Asked(NamedTuple):
    """A request with both sides, who asked, and whether the reader answers it; else they may take it back."""

    request: NetworkRequest
    network: Network
    facility: Facility
    person: str
    mine_to_answer: bool


def sides(session: Session, *, actor: Actor) -> tuple[list[Network], list[Facility]]:
    """Give the networks and the facilities for which the actor may ask and answer, by code."""
    nets = [row for row in networks.listing(session) if _speaks_for_network(actor, row.id)]
    if actor.administrator:
        return nets, facilities.listing(session)
    query = select(Facility).where(Facility.id.in_(actor.manages)).order_by(Facility.code)
    return nets, list(session.scalars(query))


def ask(
    session: Session, *, actor: Actor, network: str, facility: str, note: str = "", now: datetime
) -> NetworkRequest | None:
    """Ask the other side whether a facility may join a network; None says that it is in it now.

    Whoever speaks for both sides, or answers the other's request by asking for the same, has it join at once.

    :raises Forbidden: if the actor speaks for neither
    :raises Invalid: if there is no such network or facility, or the facility is in it
    :raises Refused: if the same is asked already
    """
    _require(actor)
    row, place = _network(session, network), _facility(session, facility)
    for_network, for_facility = _speaks_for_network(actor, row.id), _speaks_for_facility(actor, place.id)
    if not (for_network or for_facility):
        raise Forbidden(ACTION)
    if session.get(NetworkFacility, (row.id, place.id)) is not None:
        raise Invalid({"facility": "duplicate"})
    open_one = session.scalars(
        select(NetworkRequest).where(
            NetworkRequest.network_id == row.id,
            NetworkRequest.facility_id == place.id,
            NetworkRequest.state == JoinState.OPEN,
        )
    ).one_or_none()
    if open_one is not None:
        if not _answers(actor, open_one):
            raise Refused([Reason("network_asked")])
        answer(session, actor=actor, request_id=open_one.id, accept=True, now=now)
        return None
    if for_network and for_facility:
        networks.join(session, actor=actor, row=row, place=place, now=now)
        return None
    made = NetworkRequest(
        network_id=row.id,
        facility_id=place.id,
        by_facility=for_facility,
        state=JoinState.OPEN,
        note=note.strip()[:LONGEST_NOTE],
        asked_by=actor.person_id,
        asked_at=now,
    )
    session.add(made)
    session.flush()
    kind = "network.applied" if for_facility else "network.invited"
    _record(session, actor, kind, made, row, place, now, note=made.note)
    return made


def answer(
    session: Session, *, actor: Actor, request_id: UUID, accept: bool, reason: str = "", now: datetime
) -> NetworkRequest:
    """Accept a request of the other side, or refuse it with a reason.

    :raises NotFound: if there is none that is the actor's to answer
    :raises Invalid: if it is refused without a reason
    :raises Refused: if it is answered or taken back already
    """
    _require(actor)
    asked = _lock(session, request_id)
    if not _answers(actor, asked):
        raise NotFound("network_request", request_id)
    _demand_open(asked)
    if not accept and not reason.strip():
        raise Invalid({"reason": "required"})
    row, place = session.get_one(Network, asked.network_id), session.get_one(Facility, asked.facility_id)
    asked.state = JoinState.ACCEPTED if accept else JoinState.REFUSED
    asked.answered_by, asked.answered_at = actor.person_id, now
    asked.reason = reason.strip()[:LONGEST_NOTE]
    session.flush()
    told = {"person_id": str(asked.asked_by), "accepted": accept, "reason": asked.reason}
    _record(session, actor, "network.answered", asked, row, place, now, **told)
    if accept and session.get(NetworkFacility, (row.id, place.id)) is None:
        networks.join(session, actor=actor, row=row, place=place, now=now)
    return asked


def withdraw(session: Session, *, actor: Actor, request_id: UUID, now: datetime) -> NetworkRequest:
    """Take a request of one's own side back.

    :raises NotFound: if there is none of the actor's side
    :raises Refused: if it is answered or taken back already
    """
    _require(actor)
    asked = _lock(session, request_id)
    if not _asks(actor, asked):
        raise NotFound("network_request", request_id)
    _demand_open(asked)
    asked.state, asked.answered_by, asked.answered_at = JoinState.WITHDRAWN, actor.person_id, now
    session.flush()
    row, place = session.get_one(Network, asked.network_id), session.get_one(Facility, asked.facility_id)
    _record(session, actor, "network.unasked", asked, row, place, now)
    return asked


def waiting(session: Session, *, actor: Actor) -> Sequence[Asked]:
    """Give the open requests of both sides that concern the actor, those to answer first, the oldest first."""
    _require(actor)
    query = (
        select(NetworkRequest, Network, Facility, Person.name)
        .join(Network, Network.id == NetworkRequest.network_id)
        .join(Facility, Facility.id == NetworkRequest.facility_id)
        .join(Person, Person.id == NetworkRequest.asked_by)
        .where(NetworkRequest.state == JoinState.OPEN)
        .order_by(NetworkRequest.asked_at, NetworkRequest.id)
        .limit(MOST)
    )
    if not actor.administrator:
        query = query.where(
            or_(
                NetworkRequest.network_id.in_(actor.officer_of),
                NetworkRequest.facility_id.in_(actor.manages),
            )
        )
    found = [Asked(*row, mine_to_answer=_answers(actor, row[0])) for row in session.execute(query)]
    return sorted(found, key=lambda one: not one.mine_to_answer)


def told(session: Session, *, actor: Actor, asked: NetworkRequest) -> Asked:
    """Give a request as `waiting` does, answered or not."""
    return Asked(
        asked,
        session.get_one(Network, asked.network_id),
        session.get_one(Facility, asked.facility_id),
        session.get_one(Person, asked.asked_by).name,
        mine_to_answer=asked.state is JoinState.OPEN and _answers(actor, asked),
    )


def to_answer(session: Session, *, actor: Actor) -> int:
    """Count the requests that wait for the actor's own side; administrators are bothered with nobody's."""
    query = select(NetworkRequest.id).where(
        NetworkRequest.state == JoinState.OPEN,
        or_(
            NetworkRequest.by_facility & NetworkRequest.network_id.in_(actor.officer_of),
            ~NetworkRequest.by_facility & NetworkRequest.facility_id.in_(actor.manages),
        ),
    )
    return len(session.scalars(query.limit(MOST)).all()) if actor.officer_of or actor.manages else 0


def _require(actor: Actor) -> None:
    if not could(actor, ACTION):
        raise Forbidden(ACTION, sign_in=not actor.signed_in)


def _speaks_for_network(actor: Actor, network_id: int) -> bool:
    return may(actor, networks.ACTION, Subject(network_ids=frozenset({network_id})))


def _speaks_for_facility(actor: Actor, facility_id: int) -> bool:
    return actor.administrator or facility_id in actor.manages


def _answers(actor: Actor, asked: NetworkRequest) -> bool:
    if asked.by_facility:
        return _speaks_for_network(actor, asked.network_id)
    return _speaks_for_facility(actor, asked.facility_id)


def _asks(actor: Actor, asked: NetworkRequest) -> bool:
    if asked.by_facility:
        return _speaks_for_facility(actor, asked.facility_id)
    return _speaks_for_network(actor, asked.network_id)


def _lock(session: Session, request_id: UUID) -> NetworkRequest:
    query = select(NetworkRequest).where(NetworkRequest.id == request_id).with_for_update()
    found = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise NotFound("network_request", request_id)
    return found


def _demand_open(asked: NetworkRequest) -> None:
    if asked.state is not JoinState.OPEN:
        raise Refused([Reason("network_request_over")])


def _network(session: Session, code: str) -> Network:
    row = session.scalars(select(Network).where(Network.code == code)).one_or_none() if code else None
    if row is None:
        raise Invalid({"network": "unknown" if code else "required"})
    return row


def _facility(session: Session, code: str) -> Facility:
    row = session.scalars(select(Facility).where(Facility.code == code)).one_or_none() if code else None
    if row is None:
        raise Invalid({"facility": "unknown" if code else "required"})
    return row


def _record(
    session: Session,
    actor: Actor,
    kind: str,
    asked: NetworkRequest,
    row: Network,
    place: Facility,
    now: datetime,
    **more: Any,
) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=place.id,
        subject=row.code,
        request_id=str(asked.id),
        network_id=row.id,
        by_facility=asked.by_facility,
        name_zh=row.name_zh,
        name_en=row.name_en,
        facility_zh=place.name_zh,
        facility_en=place.name_en,
        **more,
    )

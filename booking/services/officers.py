"""What the officer of a network looks at: its facilities with what waits there too long, and their rounds."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Subject, require
from booking.domain.lifecycle import State
from booking.domain.rounds import RoundState
from models import Booking, BookingItem, Category, Facility, Instrument, Network, NetworkFacility, Round

ACTION = "network.desk"
TOO_LONG = timedelta(days=3)
"""Whoever waits longer for a yes or no waits too long."""

GOING_ON = (RoundState.OPEN, RoundState.CLOSED, RoundState.PUBLISHED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Requests that wait at a facility: how many, how many of them too long, and since when the oldest does."""

    all: int
    late: int
    since: datetime


def networks_of(session: Session, *, actor: Actor) -> list[Network]:
    """Give the networks of which the actor is an officer; an administrator's: all."""
    query = select(Network).order_by(Network.code)
    if not actor.administrator:
        query = query.where(Network.id.in_(actor.officer_of))
    return list(session.scalars(query))


def facilities_of(session: Session, *, actor: Actor, network_id: int) -> list[Facility]:
    """Give the facilities of a network by code.

    :raises Forbidden: if the actor is no officer of it
    """
    require(actor, ACTION, Subject(network_ids=frozenset({network_id})))
    query = select(Facility).join(NetworkFacility, NetworkFacility.facility_id == Facility.id)
    return list(
        session.scalars(query.where(NetworkFacility.network_id == network_id).order_by(Facility.code))
    )


def waiting(session: Session, *, actor: Actor, network_id: int, now: datetime) -> dict[int, Waiting]:
    """Count the requests that wait at each facility of a network.

    :raises Forbidden: if the actor is no officer of it
    """
    require(actor, ACTION, Subject(network_ids=frozenset({network_id})))
    late = func.count(Booking.id.distinct()).filter(Booking.created_at < now - TOO_LONG)
    rows = session.execute(
        select(Instrument.facility_id, func.count(Booking.id.distinct()), late, func.min(Booking.created_at))
        .select_from(Booking)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .join(NetworkFacility, NetworkFacility.facility_id == Instrument.facility_id)
        .where(
            NetworkFacility.network_id == network_id,
            Booking.state == State.REQUESTED,
            Booking.ends_at > now,
        )
        .group_by(Instrument.facility_id)
    )
    return {place: Waiting(every, of_them, since) for place, every, of_them, since in rows}


def rounds(session: Session, *, actor: Actor, network_id: int) -> dict[int, int]:
    """Count the rounds that go on at each facility of a network.

    :raises Forbidden: if the actor is no officer of it
    """
    require(actor, ACTION, Subject(network_ids=frozenset({network_id})))
    rows = session.execute(
        select(Round.facility_id, func.count())
        .join(NetworkFacility, NetworkFacility.facility_id == Round.facility_id)
        .where(NetworkFacility.network_id == network_id, Round.state.in_(GOING_ON))
        .group_by(Round.facility_id)
    )
    return {row[0]: row[1] for row in rows}


def categories(session: Session, *, codes: Collection[str]) -> dict[str, Category]:
    """Give the classes of these codes."""
    return {row.code: row for row in session.scalars(select(Category).where(Category.code.in_(codes)))}

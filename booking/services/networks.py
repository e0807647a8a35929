"""Networks: which there are and who is in them."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import NotFound
from models import Network, NetworkFacility


def by_code(session: Session, *, code: str) -> Network:
    """Give a network.

    :raises NotFound: if there is none of this code
    """
    network = session.scalars(select(Network).where(Network.code == code)).one_or_none()
    if network is None:
        raise NotFound("network", code)
    return network


def listing(session: Session) -> list[Network]:
    """Give all networks by code."""
    return list(session.scalars(select(Network).order_by(Network.code)))


def of_facilities(session: Session, facility_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Give the ids of the networks that each facility is in."""
    wanted = set(facility_ids)
    found: dict[int, set[int]] = {place: set() for place in wanted}
    query = select(NetworkFacility.facility_id, NetworkFacility.network_id)
    for place, network in session.execute(query.where(NetworkFacility.facility_id.in_(wanted))):
        found[place].add(network)
    return {place: frozenset(networks) for place, networks in found.items()}

"""The catalogue in other orders than by name, and what to ask less of where nothing is found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from booking.db import Session
from booking.domain.access import Actor
from booking.domain.rules import Invalid
from booking.i18n import current_locale
from booking.i18n import gettext as _
from booking.services import availability, catalogue, distances, instruments
from booking.services.catalogue import Filters
from booking.web.cards import LOOK_AHEAD, class_of, in_force, local_date
from models import Instrument

SORTED = 400
"""So many instruments are put in order by what has to be looked up for each."""

SORTS = ("name", "earliest", "price", "nearest")
_LOOKED_UP = ("earliest", "price")


@dataclass(frozen=True)
class Order:
    """An order of the list as a link, and whether it is the one on show."""

    words: str
    href: str
    chosen: bool


@dataclass(frozen=True)
class Sorted:
    """A page of instruments in an order of its own, of so many; `cut` tells whether more match than were ordered."""

    items: list[Instrument]
    cut: bool


@dataclass(frozen=True)
class Less:
    """What could be asked less of, how many would then be found, and the address that asks so."""

    words: str
    count: int
    href: str


def sort_of(asked: str, filters: Filters) -> str:
    """Give the order that is meant: near a place the nearest come first unless something else is said.

    :raises Invalid: if there is no such order
    """
    if asked and asked not in SORTS:
        raise Invalid({"sort": "unknown"})
    if filters.near:
        return asked if asked in _LOOKED_UP else "nearest"
    return asked or SORTS[0]


def with_near(session: Session, *, actor: Actor, filters: Filters, asked: str) -> Filters:
    """Give the filters with a place to be near to, one's own, where the nearest are asked for and none is said.

    :raises Invalid: if nobody knows where the reader's own place is
    """
    if asked != "nearest" or filters.near:
        return filters
    own = distances.own(session, actor=actor)
    if not own:
        raise Invalid({"near": "required"})
    return replace(filters, near=own)


def orders(chosen: str, filters: Filters, href: Callable[..., str]) -> list[Order]:
    """Give the orders that a list can have."""
    words = {
        "name": _("Best match"),
        "earliest": _("Earliest first"),
        "price": _("Cheapest first"),
        "nearest": _("Nearest first"),
    }
    offered = [name for name in SORTS if name != "name" or not filters.near]
    return [
        Order(words[name], href(filters, sort="" if name == "name" else name), name == chosen)
        for name in offered
    ]


def in_order(
    session: Session,
    *,
    actor: Actor,
    filters: Filters,
    sort: str,
    total: int,
    page: int,
    page_size: int,
    now: datetime,
) -> Sorted | None:
    """Give a page in an order that has to be looked up; None where the catalogue's own order is meant."""
    if sort not in _LOOKED_UP:
        return None
    ids = catalogue.ids(session, actor=actor, filters=filters, limit=SORTED)
    if sort == "price":
        rows = instruments.listed(session, actor=actor, instrument_ids=ids)
        order = sorted(rows, key=lambda place: (*_price(rows[place], actor, now), rows[place].code))
    else:
        free = availability.next_free(
            session, instrument_ids=ids, now=now, days=LOOK_AHEAD, person_id=actor.person_id
        )
        order = sorted(ids, key=lambda place: (free[place] is None, free[place] or (), place))
    shown = order[(page - 1) * page_size : page * page_size]
    rows = instruments.listed(session, actor=actor, instrument_ids=shown)
    return Sorted([rows[place] for place in shown], total > len(ids))


def _price(row: Instrument, actor: Actor, now: datetime) -> tuple[bool, Decimal]:
    found = in_force(row.prices, class_of(row, actor), local_date(now, row.facility.zone))
    return (not found, found[0].amount if found else Decimal(0))


def less(
    session: Session,
    *,
    actor: Actor,
    filters: Filters,
    names: Iterable[tuple[str, str]],
    href: Callable[[Filters], str],
) -> list[Less]:
    """Give what could be left out so that something is found, with how much; one statement for each."""
    found = []
    for name, words in names:
        if not getattr(filters, name):
            continue
        other = replace(filters, **{name: ""} | ({"within_km": ""} if name == "near" else {}))
        count = catalogue.search(
            session, actor=actor, filters=other, page_size=1, locale=current_locale(), facets=False
        ).total
        if count:
            found.append(Less(_("Without “%(name)s”", name=words), count, href(other)))
    return found

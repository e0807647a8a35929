"""Instruments as cards: what one costs this reader, when it is free next, the link that books that time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, url_for
from flask.blueprints import BlueprintSetupState

from booking.db import Session
from booking.domain.access import Actor
from booking.domain.pricing import CustomerClass, Unit
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import availability, faults, instrument_files
from booking.services.instrument_files import Cover
from models import Instrument, InstrumentPrice

LOCAL = "%Y-%m-%dT%H:%M"
"""How addresses write a time on a facility's clock."""

LOOK_AHEAD = 90
"""How many days ahead the next free time is looked for."""

MOST_DAYS = 1200
"""How far from today calendars can be turned."""


@dataclass(frozen=True)
class Card:
    """An instrument in a list; `price` is None where it is negotiated, `next_free` where nothing is near."""

    instrument: Instrument
    price: InstrumentPrice | None
    prices: int
    next_free: Span | None
    href: str
    book: str | None
    days: int = LOOK_AHEAD
    down_until: datetime | None = None
    cover: Cover | None = None


def register(blueprint: Blueprint) -> None:
    """Give templates the addresses of booking forms."""

    def _give(state: BlueprintSetupState) -> None:
        state.app.jinja_env.globals.update(book_href=book_href, local_time=local_time)

    blueprint.record_once(_give)


def cards(session: Session, *, actor: Actor, instruments: Sequence[Instrument], now: datetime) -> list[Card]:
    """Make the cards of instruments; the number of statements does not depend on theirs."""
    ids = [row.id for row in instruments]
    free = availability.next_free(
        session, instrument_ids=ids, now=now, days=LOOK_AHEAD, person_id=actor.person_id
    )
    down = faults.down(session, instruments=instruments, now=now)
    covers = instrument_files.covers(session, instrument_ids=ids)
    return [
        replace(_card(row, actor, free.get(row.id), now, down.get(row.id)), cover=covers.get(row.id))
        for row in instruments
    ]


def _card(
    row: Instrument, actor: Actor, span: Span | None, now: datetime, down_until: datetime | None
) -> Card:
    zone = row.facility.zone
    prices = in_force(row.prices, class_of(row, actor), local_date(now, zone))
    return Card(
        instrument=row,
        price=prices[0] if prices else None,
        prices=len(prices),
        next_free=span,
        href=url_for("web.instrument", code=row.code),
        book=book_href(row.code, span.start, span.end, zone) if span else None,
        down_until=down_until,
    )


def class_of(row: Instrument, actor: Actor) -> CustomerClass:
    """Tell whose prices this reader pays here."""
    return availability.customer_class(actor, row.facility.organisation_id)


def in_force(prices: Iterable[InstrumentPrice], customer: CustomerClass, day: date) -> list[InstrumentPrice]:
    """Give the prices of a class on a day, those by time first."""
    found = [
        price
        for price in prices
        if price.customer_class is customer
        and price.valid_from <= day
        and (price.valid_to is None or day < price.valid_to)
    ]
    return sorted(found, key=lambda price: (price.unit is Unit.SAMPLE, price.amount))


def book_href(
    code: str, start: datetime, end: datetime, zone: str, quantity: int = 1, **needs: str | None
) -> str:
    """Give the address of the booking form, filled in; times stand on the facility's clock."""
    return url_for(
        "web.new_booking",
        instrument=code,
        start=local_time(start, zone),
        end=local_time(end, zone),
        quantity=quantity if quantity > 1 else None,
        **needs,
    )


def local_time(at: datetime, zone: str) -> str:
    """Write a time on the clock of a zone, as forms send it: `2026-11-02T09:00`."""
    return at.astimezone(ZoneInfo(zone)).strftime(LOCAL)


def local_date(at: datetime, zone: str) -> date:
    """Give the day that it is in a zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def day_from(text: str, default: date, *, field: str) -> date:
    """Read a day from an address; nothing is the default.

    :raises Invalid: if it is none, or further from the default than anybody books
    """
    if not text:
        return default
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Invalid({field: "malformed"}) from None
    if abs(day - default).days > MOST_DAYS:
        raise Invalid({field: "out_of_range"})
    return day


def midnight(day: date, zone: str) -> datetime:
    """Give the instant at which a day begins in a zone."""
    return datetime.combine(day, datetime.min.time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)

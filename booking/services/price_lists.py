"""Price lists: what an instrument costs from which day on, and changing all prices of a facility by a percentage."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain import inventory
from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.hours import zone
from booking.domain.pricing import CustomerClass, Price, Unit, raised
from booking.domain.rules import Invalid
from booking.services import events, facilities, instruments
from models import Facility, Instrument

MOST_PERCENT = Decimal(900)


@dataclass(frozen=True, slots=True)
class Change:
    """What one price of one instrument was and will be."""

    instrument: Instrument
    price: Price
    amount: Decimal


def of_instrument(session: Session, *, actor: Actor, code: str) -> Instrument:
    """Give an instrument with all its prices, those that are over too.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    """
    row = instruments.by_code(session, actor=actor, code=code)
    require(actor, "instrument.edit", Subject(facility_id=row.facility_id))
    return row


def of_facility(session: Session, *, actor: Actor, code: str) -> tuple[Facility, list[Instrument]]:
    """Give a facility and its instruments with their prices.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    """
    facility = facilities.by_code(session, code=code)
    require(actor, "instrument.edit", Subject(facility_id=facility.id))
    query = select(Instrument).where(Instrument.facility_id == facility.id).order_by(Instrument.code)
    options = joinedload(Instrument.facility), selectinload(Instrument.prices)
    return facility, list(session.scalars(query.options(*options)))


def today_at(facility: Facility, now: datetime) -> date:
    """Give the day that it is at a facility."""
    return now.astimezone(zone(facility.zone)).date()


def put(
    session: Session,
    *,
    actor: Actor,
    code: str,
    customer_classes: Sequence[CustomerClass],
    unit: Unit,
    amount: Decimal | None,
    since: date,
    now: datetime,
) -> Instrument:
    """Set what a unit costs from a day on; what counts before ends there, None is negotiated.

    What is booked already is estimated by the price of its first day, so one that began long ago stays as it was.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if the day has passed
    """
    row = _locked(session, of_instrument(session, actor=actor, code=code))
    if since < today_at(row.facility, now):
        raise Invalid({"since": "past"})
    before = instruments.price_list(row)
    after: Sequence[Price] = before
    for customer_class in customer_classes:
        after = inventory.reprice(after, customer_class, unit, amount, since)
    _write(session, actor, row, before, after, now)
    return row


def strike(session: Session, *, actor: Actor, code: str, price_id: int, now: datetime) -> Instrument:
    """Take back a price that has not begun; the one before it counts on.

    :raises NotFound: if there is no such instrument or price for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if its days have begun
    """
    row = _locked(session, of_instrument(session, actor=actor, code=code))
    one = next((price for price in row.prices if price.id == price_id), None)
    if one is None:
        raise NotFound("price", price_id)
    if one.valid_from <= today_at(row.facility, now):
        raise Invalid({"price": "past"})
    before = instruments.price_list(row)
    after = inventory.without_price(before, one.customer_class, one.unit, one.valid_from)
    _write(session, actor, row, before, after, now)
    return row


def proposed(
    session: Session,
    *,
    actor: Actor,
    code: str,
    percent: Decimal,
    step: Decimal,
    customer_classes: Iterable[CustomerClass],
    since: date,
    now: datetime,
) -> list[Change]:
    """Give what all prices of a facility that are in force on a day would become; nothing is written.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    :raises Invalid: if the day has passed, or the percentage makes no sense
    """
    facility, rows = of_facility(session, actor=actor, code=code)
    errors = {}
    if since < today_at(facility, now):
        errors["since"] = "past"
    if not -100 < percent <= MOST_PERCENT or not percent:
        errors["percent"] = "out_of_range"
    if errors:
        raise Invalid(errors)
    wanted = set(customer_classes)
    return [
        Change(row, price, amount)
        for row in rows
        for price in instruments.price_list(row)
        if price.customer_class in wanted and price.applies(price.customer_class, since)
        for amount in [raised(price.amount, percent, step)]
        if amount != price.amount
    ]


def raise_all(
    session: Session,
    *,
    actor: Actor,
    code: str,
    percent: Decimal,
    step: Decimal,
    customer_classes: Iterable[CustomerClass],
    since: date,
    now: datetime,
) -> list[Change]:
    """Change all prices of a facility that are in force on a day by a percentage, from that day on.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    :raises Invalid: if the day has passed, or the percentage makes no sense
    """
    facility = facilities.by_code(session, code=code)
    require(actor, "instrument.edit", Subject(facility_id=facility.id))
    mine = select(Instrument.id).where(Instrument.facility_id == facility.id).order_by(Instrument.id)
    session.execute(mine.with_for_update())
    found = proposed(
        session,
        actor=actor,
        code=code,
        percent=percent,
        step=step,
        customer_classes=customer_classes,
        since=since,
        now=now,
    )
    told: dict[str, dict[str, list[str]]] = {}
    for change in found:
        row, price = change.instrument, change.price
        after = inventory.reprice(
            instruments.price_list(row), price.customer_class, price.unit, change.amount, since
        )
        instruments.replace_prices(row, after)
        name = f"{price.customer_class.value}.{price.unit.value}"
        told.setdefault(row.code, {})[name] = [str(price.amount), f"{change.amount} ({since})"]
    session.flush()
    if found:
        events.record(
            session,
            actor=actor,
            kind="prices.raised",
            now=now,
            facility_id=facility.id,
            subject=facility.code,
            percent=str(percent),
            since=str(since),
            instruments=told,
        )
    return found


def _locked(session: Session, row: Instrument) -> Instrument:
    """Give an instrument that no other writer of its prices has meanwhile; its calendar has not changed."""
    session.execute(select(Instrument.id).where(Instrument.id == row.id).with_for_update())
    session.refresh(row, ["prices"])
    return row


def _write(
    session: Session,
    actor: Actor,
    row: Instrument,
    before: Sequence[Price],
    after: Sequence[Price],
    now: datetime,
) -> None:
    if list(before) == list(after) or set(before) == set(after):
        return
    instruments.replace_prices(row, after)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="prices.changed",
        now=now,
        facility_id=row.facility_id,
        subject=row.code,
        changes=_changes(before, after),
    )


def _changes(before: Sequence[Price], after: Sequence[Price]) -> dict[str, list[list[str]]]:
    """Give by class and unit what no longer stands and what stands since."""
    found: dict[str, list[list[str]]] = {}
    for side, rows, others in ((0, before, after), (1, after, before)):
        for price in rows:
            if price not in others:
                name = f"{price.customer_class.value}.{price.unit.value}"
                days = f"{price.valid_from}–{price.valid_to or ''}"
                found.setdefault(name, [[], []])[side].append(f"{price.amount} ({days})")
    return found

"""What a booking will cost by the price list in force; the one rounding."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from booking.domain.spans import Span

CENT = Decimal("0.01")
HOURS = Decimal("0.0001")
"""Hours are rounded to four decimals before they meet a price."""


class CustomerClass(enum.StrEnum):
    """Whom a price is for: the operator's own people and partners, or everybody else."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class Unit(enum.StrEnum):
    """What a price is for one of."""

    HOUR = "hour"
    CHANNEL_HOUR = "channel_hour"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Price:
    """A dated row of a price list: yuan per unit, tax included; `valid_to` is exclusive."""

    customer_class: CustomerClass
    unit: Unit
    amount: Decimal
    valid_from: date
    valid_to: date | None = None

    def applies(self, customer_class: CustomerClass, day: date) -> bool:
        """Tell whether the row is for this class on this day."""
        return (
            self.customer_class is customer_class
            and self.valid_from <= day
            and (self.valid_to is None or day < self.valid_to)
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """A line of an estimate: hours (times units, where a price is per channel) at a price."""

    amount: Decimal
    hours: Decimal
    rate: Decimal
    unit: Unit
    quantity: int


def in_yuan(amount: Decimal) -> Decimal:
    """Round to the cent, half up."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def raised(amount: Decimal, percent: Decimal, step: Decimal = CENT) -> Decimal:
    """Give an amount changed by a percentage, to the nearest whole step, half up; never to nothing by rounding."""
    wanted = amount * (100 + percent) / 100
    steps = (wanted / step).quantize(Decimal(1), ROUND_HALF_UP)
    if amount and not steps:
        steps = Decimal(1)
    return in_yuan(steps * step)


def hours(span: Span) -> Decimal:
    """Give the length in hours, to four decimals."""
    seconds = Decimal(round(span.duration.total_seconds()))
    return (seconds / 3600).quantize(HOURS, ROUND_HALF_UP)


def estimate(
    prices: Iterable[Price], *, span: Span, quantity: int, customer_class: CustomerClass, day: date
) -> Charge | None:
    """Give the line for a use, or None where the price is negotiated (议价).

    A price per hour is for each unit taken, as is a price per channel and hour.
    """
    timed = (Unit.HOUR, Unit.CHANNEL_HOUR)
    row = next((p for p in prices if p.unit in timed and p.applies(customer_class, day)), None)
    if row is None:
        return None
    long = hours(span)
    return Charge(in_yuan(row.amount * long * quantity), long, row.amount, row.unit, quantity)

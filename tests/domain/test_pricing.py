"""Estimates by the price list in force."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.pricing import CENT, CustomerClass, Price, Unit, estimate, in_yuan, raised
from booking.domain.spans import Span

START = datetime(2026, 11, 2, 1, tzinfo=UTC)
EXTERNAL, INTERNAL = CustomerClass.EXTERNAL, CustomerClass.INTERNAL


def cost(prices, minutes: int, quantity: int = 1, customer_class=EXTERNAL, day=date(2026, 11, 2)):
    span = Span(START, START + timedelta(minutes=minutes))
    return estimate(prices, span=span, quantity=quantity, customer_class=customer_class, day=day)


def price(amount: str, customer_class=EXTERNAL, unit=Unit.HOUR, start=date(2026, 1, 1), end=None) -> Price:
    return Price(customer_class, unit, Decimal(amount), start, end)


def test_hours_times_rate():
    assert cost([price("350")], 90).amount == Decimal("525.00")


def test_a_price_per_channel_and_hour_counts_the_channels():
    assert cost([price("7", unit=Unit.CHANNEL_HOUR)], 120, 16).amount == Decimal("224.00")


def test_each_class_has_its_own_price_and_none_is_negotiated():
    prices = [price("180", INTERNAL), price("350")]
    assert cost(prices, 60, customer_class=INTERNAL).amount == Decimal("180.00")
    assert cost([price("350")], 60, customer_class=INTERNAL) is None
    assert cost([price("0", INTERNAL)], 60, customer_class=INTERNAL).amount == Decimal("0.00")


def test_the_row_in_force_counts_and_its_last_day_does_not():
    prices = [price("100", end=date(2026, 11, 2)), price("120", start=date(2026, 11, 2))]
    assert cost(prices, 60, day=date(2026, 11, 1)).rate == 100
    assert cost(prices, 60, day=date(2026, 11, 2)).rate == 120


def test_a_price_per_sample_is_no_price_of_time():
    assert cost([price("600", unit=Unit.SAMPLE)], 60) is None


def test_a_cent_is_rounded_half_up():
    assert in_yuan(Decimal("0.005")) == Decimal("0.01")
    assert cost([price("100")], 20).amount == Decimal("33.33")


@given(st.integers(1, 100_000), st.integers(1, 512), st.decimals("0.01", "10000", places=2))
def test_an_estimate_is_near_the_exact_product(minutes, quantity, rate):
    charge = cost([Price(EXTERNAL, Unit.HOUR, rate, date(2026, 1, 1))], minutes, quantity)
    exact = rate * minutes * quantity / 60
    assert abs(charge.amount - exact) <= Decimal("0.00005") * rate * quantity + Decimal("0.005")


# --- changing prices ------------------------------------------------------------------------------


@given(
    st.decimals(0, 10**6, places=2),
    st.decimals(-99, 900, places=1),
    st.sampled_from([CENT, Decimal(1), Decimal(5), Decimal(10)]),
)
def test_a_price_changed_by_a_percentage_is_a_whole_step_near_it(amount, percent, step):
    found = raised(amount, percent, step)
    assert found % step == 0
    assert (found == 0) == (amount == 0)
    wanted = amount * (100 + percent) / 100
    assert abs(found - wanted) <= step / 2 or found == step

"""Standby: exact odds against enumeration, their calibration, and what a day's play leaves unused."""

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.resolution.standby import (
    Booked,
    Opening,
    Standby,
    absences,
    begins,
    fits,
    odds,
    played,
    presence,
    to_call,
)

OPENING = (34, 70)
CHANCES = st.floats(0, 1)


@given(st.lists(CHANCES, max_size=7))
def test_the_distribution_of_absences_is_that_of_enumeration(chances):
    exact = [0.0] * (len(chances) + 1)
    for came in product((True, False), repeat=len(chances)):
        weight = 1.0
        for one, chance in zip(came, chances, strict=True):
            weight *= chance if one else 1 - chance
        exact[came.count(False)] += weight
    assert absences(chances) == pytest.approx(exact)


def test_experience_outweighs_the_prior():
    assert presence(0, 0) == pytest.approx(0.88)
    assert presence(0, 10) == pytest.approx(0.44)
    assert presence(990, 1000) == pytest.approx(0.99, abs=0.002)


def test_odds_count_only_places_that_are_long_enough_and_those_ahead():
    booked = [
        Booked(0, 34, 42, 0.8),  # leaves [35, 42)
        Booked(0, 42, 70, 0.5),  # leaves [43, 70)
        Booked(1, 34, 70, 0.9),  # leaves [35, 70)
    ]
    eight = Standby(1, duration=8)
    assert odds(booked, eight, ahead=0, opening=OPENING) == pytest.approx(1 - 0.5 * 0.9)
    assert odds(booked, eight, ahead=1, opening=OPENING) == pytest.approx(0.5 * 0.1)
    assert odds(booked, eight, ahead=2, opening=OPENING) == 0
    seven = Standby(1, duration=7)
    assert odds(booked, seven, ahead=0, opening=OPENING) == pytest.approx(1 - 0.8 * 0.5 * 0.9)
    # Whose grace is over has come, or the place is given away already.
    assert odds(booked, eight, ahead=0, opening=OPENING, now=40) == pytest.approx(0.5)
    # Time that nobody booked is certain.
    assert odds([*booked[:2], Booked(1, 34, 50, 0.9)], eight, ahead=0, opening=OPENING) == 1


def test_the_higher_class_is_called_first_then_who_wastes_least():
    free = Opening(0, 40, 52, 40)
    slow, short, long = Standby(1, 6, lead=8), Standby(2, 4), Standby(3, 12)
    assert not fits(free, slow)
    assert begins(free, Standby(4, 2, ready=45, lead=1)) == 45
    assert to_call(free, [slow, short, long]) == long
    assert to_call(free, [slow, long, Standby(5, 3, priority=2)]).number == 5
    assert to_call(free, [slow]) is None


def day(rng, machines=6):
    booked = []
    for machine in range(machines):
        start = OPENING[0]
        while start < 66:
            length = min(rng.choice([4, 6, 8, 12, 16]), OPENING[1] - start)
            booked.append(Booked(machine, start, start + length, rng.betavariate(8.8, 1.2)))
            start += length
    waiting = [
        Standby(n, rng.choice([2, 4, 6, 8]), rng.randrange(34, 62), rng.choice([0, 1, 4]), rng.randint(1, 3))
        for n in range(rng.randrange(2 * machines))
    ]
    return booked, waiting


def test_release_and_standby_come_near_to_what_a_clairvoyant_uses():
    rng = random.Random(7)
    sums = {"nothing": 0, "standby": 0, "clairvoyant": 0}
    for _ in range(120):
        booked, waiting = day(rng)
        came = {one: rng.random() < one.presence for one in booked}
        answered = {one: rng.random() < 0.95 for one in waiting}
        for name, how in (
            ("nothing", {"release": False}),
            ("standby", {}),
            ("clairvoyant", {"clairvoyant": True}),
        ):
            use = played(
                booked, waiting, OPENING, comes=came.__getitem__, answers=answered.__getitem__, **how
            )
            sums[name] += use.slots
            assert use.bumped == 0
            assert use.slots <= 6 * (OPENING[1] - OPENING[0])
    assert sums["nothing"] < sums["standby"] <= sums["clairvoyant"]
    assert sums["standby"] >= 0.98 * sums["clairvoyant"]


def test_odds_are_honest():
    rng = random.Random(3)
    told, got = 0.0, 0
    for _ in range(400):
        booked, _ = day(rng, machines=4)
        asking = Standby(0, rng.choice([4, 8]))
        told += odds(booked, asking, ahead=0, opening=OPENING)
        came = {one: rng.random() < one.presence for one in booked}
        use = played(booked, [asking], OPENING, comes=came.__getitem__, answers=bool)
        got += use.served
    assert got / 400 == pytest.approx(told / 400, abs=0.06)

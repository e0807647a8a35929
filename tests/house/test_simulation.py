"""The simulator of queues agrees with the formulas where there are any; the simulated country loses nobody."""

from dataclasses import replace
from math import factorial
from random import Random

import pytest

from tests.bench.queues import Clock, Gate, Pool
from tests.bench.simulation import (
    AIM,
    ENDLESS,
    MEASURED,
    Layout,
    Nation,
    Rush,
    busiest_hour,
    run_calm,
    run_rush,
    sizes,
)

CUSTOMERS = 60_000
SMALL = Rush(instruments=20, slots=5, a_second=2_000, seconds=0.5)
TIGHT = Layout(
    nodes=2, node_cores=2, inside=8, patience=0.1, shards=2, shard_cores=2, replicas=1, replica_cores=2
)


def line_up(*, servers, load, service, seed=7):
    """Let customers come at random; give how long they stand in line in the mean, and how busy the servers were."""
    clock, pool, random, waits = Clock(), Pool(servers), Random(seed), []

    def customer(seconds):
        came = clock.now
        yield pool, seconds
        waits.append(clock.now - came - seconds)

    at = 0.0
    for _ in range(CUSTOMERS):
        at += random.expovariate(load * servers)
        clock.start(customer(service(random)), at)
    clock.run()
    assert len(waits) == CUSTOMERS
    assert pool.idle == servers
    busy = pool.utilisation(clock.now)
    assert busy == pytest.approx(load, rel=0.03)
    return sum(waits) / CUSTOMERS, busy


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.7), (4, 0.8), (8, 0.7)])
def test_random_services_wait_as_erlang_says(servers, load):
    wait, busy = line_up(servers=servers, load=load, service=lambda random: random.expovariate(1))
    offered = servers * busy
    all_busy = offered**servers / factorial(servers) / (1 - busy)
    must_wait = all_busy / (sum(offered**n / factorial(n) for n in range(servers)) + all_busy)
    assert wait == pytest.approx(must_wait / (servers - offered), rel=0.08)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_equal_services_wait_as_pollaczek_and_khinchine_say(load):
    wait, busy = line_up(servers=1, load=load, service=lambda _: 1.0)
    assert wait == pytest.approx(busy / (2 * (1 - busy)), rel=0.05)


def test_a_lock_is_held_by_one_at_a_time_in_the_order_of_asking():
    clock, lock, held = Clock(), Gate(), []

    def holder(name):
        yield lock
        held.append((name, clock.now))
        yield 1.0
        lock.give_back(clock)

    for name in range(5):
        clock.start(holder(name), 0.1 * name)
    clock.run()
    assert held == [(name, float(name)) for name in range(5)]
    assert lock.free == 1


def test_who_is_first_in_line_passes_the_others():
    clock, pool, served = Clock(), Pool(1), []

    def one(name, *wish):
        yield (pool, 1.0, *wish)
        served.append(name)

    clock.start(one("at work"), 0.0)
    clock.start(one("waits"), 0.1)
    clock.start(one("turned away", True), 0.2)
    clock.run()
    assert served == ["at work", "turned away", "waits"]


@pytest.mark.parametrize(
    "layout",
    [TIGHT, replace(TIGHT, patience=ENDLESS), replace(TIGHT, nodes=12, shards=1, patience=ENDLESS)],
    ids=["door", "none", "wide"],
)
def test_a_rush_sells_each_slot_once_and_leaves_nobody_without_a_word(layout):
    found = run_rush(SMALL, layout, MEASURED, seed=3)
    assert found.sent == found.answers.total()
    assert found.inside == 0
    assert found.sold_twice == 0
    assert len(found.sold) == SMALL.instruments * SMALL.slots
    assert found.winners + found.losers + found.gave_up == SMALL.people
    assert found.winners <= len(found.sold) <= 2 * found.winners  # some have two instruments
    assert found.gave_up == 0
    assert (found.answers["503"] > 0) == (layout.patience < ENDLESS)


def test_requests_are_answered_or_still_inside_whenever_one_looks():
    layout = replace(TIGHT, patience=ENDLESS)
    found = run_calm(Nation(), layout, MEASURED, bookings=20.0, seconds=5.0, seed=2)
    assert found.inside > 0  # far too many for these machines
    assert found.sent == found.answers.total() + found.inside
    assert found.web == pytest.approx(1, abs=0.01)


def test_the_same_seed_gives_the_same_run_and_another_does_not():
    first, again, other = (run_rush(SMALL, TIGHT, MEASURED, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.last_word != other.last_word


def test_more_machines_and_cheaper_requests_shorten_the_rush():
    slow = run_rush(SMALL, TIGHT, MEASURED, seed=1)
    wide = run_rush(SMALL, replace(TIGHT, nodes=12), MEASURED, seed=1)
    cheap = run_rush(SMALL, TIGHT, AIM, seed=1)
    assert max(wide.last_word) < max(slow.last_word)
    assert max(cheap.last_word) < max(slow.last_word)
    assert wide.web < slow.web


def test_bookings_of_one_instrument_wait_for_each_other_however_many_machines_there_are():
    wide = Layout(nodes=64, patience=ENDLESS)
    spread = run_rush(replace(SMALL, instruments=100, slots=1), wide, MEASURED, seed=1)
    one = run_rush(replace(SMALL, instruments=1, slots=100, two_places=0.0), wide, MEASURED, seed=1)
    held = 0.5 * MEASURED["book"].web / 1000 + MEASURED["book"].database / 1000 + 0.003 + 0.004
    assert max(one.last_word) > 100 * held > max(spread.seconds["booked"])


def test_the_country_has_all_its_instruments_and_bookings():
    nation = Nation()
    found = sizes(nation, Random(1))
    assert len(found) == nation.facilities
    assert sum(found) == nation.instruments
    assert min(found) >= 1
    assert max(found) > 20 * sum(found) / len(found)  # a few are large
    assert 1 < busiest_hour(nation) / (nation.bookings_a_year / 52 / 7 / 24 / 3600) < 10

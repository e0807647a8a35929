"""How well plans are repaired after outages, freed time is filled, and places of those who do not come are used.

`python -m tests.bench.resolver_repair [S M L XL] [--seeds N]` allocates pools, prints the tables, and writes them
between their marks into docs/resolver.md. Seconds are those of the processor, import of the solver not counted.
"""

import argparse
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from booking.domain.resolution import greedy, rebuild, solve, tables
from booking.domain.resolution.outage import Outage
from booking.domain.resolution.problem import DAY, Plan, Pool
from booking.domain.resolution.refill import Waitlist, envies
from booking.domain.resolution.repair import repairs
from booking.domain.resolution.standby import Booked, Standby, played, presence
from tests import pools
from tests.bench import measure
from tests.bench.resolver_page import conditions, keep, markdown

BEGIN, END = "<!-- repairs: written by the benchmark -->", "<!-- repairs: end -->"
SECONDS = {"S": 2.0, "M": 15.0, "L": 60.0, "XL": 300.0}
"""How long the plans are allocated that are then repaired."""
WORK = 20.0
"""What a repair may use, counted in seconds of a steady machine; three repairs are made of it."""
OPEN = (34, 70)
REFILLED = (1, 2, 3)
"""The seeds of the pools of each size whose cancelled time is filled again."""

REPAIR_HEAD = (
    "pool, event",
    "hit of booked",
    "nearest: points",
    "best: points",
    "bound",
    "gap",
    "groups proven",
    "cancelled / moved / neighbours",
    "other repairs",
    "CPU s: best / all",
)
REFILL_HEAD = (
    "pool",
    "cancelled, waiting",
    "class, then first come: points, hours",
    "with shifts: points, hours",
    "gain",
    "shifts",
    "envy",
    "p50 / p95 / max ms",
)
STANDBY_HEAD = (
    "days of machines",
    "nothing",
    "release and standby",
    "clairvoyant",
    "of clairvoyant",
    "bumped",
)


def outages(pool: Pool, plan: Plan, seed: int) -> list[Outage]:
    """A breakdown of busy instruments, two days without one site, a day that is closed, part of a busy kind down."""
    rng = random.Random(f"outages {pool.name} {seed}")
    busy = Counter(instrument for places in plan.values() for instrument, _ in places)
    top = [instrument for instrument, _ in busy.most_common(max(1, len(busy) // 3))]
    broken = rng.sample(top, max(1, min(len(top), len(pool.instruments) // 100)))
    begun = rng.randrange(pool.horizon // 2)
    site = pool.instruments[rng.choice(top)].site
    day = rng.randrange(1, pool.horizon // DAY - 2)
    workdays = sorted({a // DAY for one in pool.instruments for a, b in one.staffed if b - a < DAY})
    kinds = defaultdict(list)
    for number, one in enumerate(pool.instruments):
        kinds[one.kind, one.region].append(number)
    load = {kind: sum(busy[n] for n in numbers) / len(numbers) for kind, numbers in kinds.items()}
    hot = sorted(load, key=lambda kind: -load[kind])[: max(1, len(pool.instruments) // 70)]
    part = [n for kind in hot for n in rng.sample(kinds[kind], max(1, len(kinds[kind]) // 3))]
    start = rng.randrange(1, max(2, pool.horizon // DAY - 5)) * DAY
    sites = [n for n, one in enumerate(pool.instruments) if one.site == site]
    return [
        Outage(
            tuple((n, begun, begun + rng.choice([DAY, 2 * DAY, 5 * DAY])) for n in broken), kind="breakdown"
        ),
        Outage(tuple((n, day * DAY, (day + 2) * DAY) for n in sites), kind="site"),
        Outage(closed_days=(rng.choice(workdays[1:] or [1]),), kind="closed day"),
        Outage(tuple((n, start, start + 5 * DAY) for n in part), kind="kinds in part"),
    ]


def cancellations(plan: Plan, seed: int, share: float = 0.12) -> list[tuple[int, int]]:
    """Notices (slot, wish) in the order of time, from half an hour to three days before the start."""
    rng = random.Random(f"cancellations {seed}")
    chosen = [number for number in sorted(plan) if rng.random() < share]
    return sorted((max(0, plan[n][0][1] - rng.choice([2, 8, 24, 48, 96, 192, 288])), n) for n in chosen)


def repair_rows(pool: Pool, plan: Plan, seed: int, *, work: float = WORK) -> list[list[object]]:
    """A row for each outage."""
    rebuild.solver()
    rows = []
    for outage in outages(pool, plan, seed):
        marks: dict[str, float] = {}
        began = time.process_time()

        def tell(phase: str, _share: float, began: float = began, marks: dict[str, float] = marks) -> None:
            marks.setdefault(phase, time.process_time() - began)

        found = repairs(pool, plan, outage, work=work, seed=seed, on_progress=tell)
        spent = time.process_time() - began
        best, *others = found.ranked
        rows.append(
            [
                f"{pool.name} {outage.kind}",
                f"{len(found.hit)} / {len(plan)}",
                found.nearest,
                best.cost,
                found.bound,
                f"{found.gap:.2%}",
                f"{found.proven} / {found.groups}",
                f"{best.cancelled} / {best.moved} / {best.bystanders}",
                ", ".join(f"{one.emphasis} {one.cost}" for one in others) or "-",
                f"{marks.get('keep_time', spent):.2f} / {spent:.2f}",
            ]
        )
    return rows


def refill_row(pool: Pool, seed: int) -> list[object]:
    """A row: what is recovered of cancelled time with and without shifts; envy is counted in both.

    The calendar before it is that of who came first: the engine's plan leaves out only who fits nowhere.
    """
    plan = greedy.greedy(tables.tables(pool), "first_come").plan()
    waiting = [number for number in range(len(pool.wishes)) if number not in plan]
    start = Waitlist(pool, plan, waiting, shifts=False)
    start.fill(list(start.waiting), 0)
    notices = cancellations(start.plan, seed)
    sums, spent = {}, []
    for shifts in (False, True):
        line = Waitlist(pool, start.plan, start.waiting, shifts=shifts)
        points, hours, moved, envy = 0, 0.0, 0, 0
        spent = []
        for now, number in notices:
            began = time.process_time()
            grants = line.cancel(number, now)
            spent.append(time.process_time() - began)
            points += sum(one.worth for one in grants)
            hours += sum(pool.wishes[one.wish].slots for one in grants) / 4
            moved += sum(len(one.shifts) for one in grants)
            envy += len(envies(pool, line.plan, grants, line.waiting, now))
        sums[shifts] = points, hours, moved, envy
    plain, shifted = sums[False], sums[True]
    return [
        pool.name,
        f"{len(notices)}, {len(start.waiting)}",
        f"{plain[0]}, {plain[1]:g} h",
        f"{shifted[0]}, {shifted[1]:g} h",
        f"{shifted[0] / plain[0] - 1:+.1%}" if plain[0] else "-",
        shifted[2],
        plain[3] + shifted[3],
        " / ".join(f"{1000 * measure.percentile(spent, share):.1f}" for share in (0.5, 0.95, 1.0)),
    ]


def day(rng: random.Random, machines: int) -> tuple[list[tuple[Booked, bool]], list[tuple[Standby, bool]]]:
    """A day of equal machines: bookings with who comes, people on standby with who answers.

    Whether somebody comes is drawn from the true chance; what the list knows of it comes from a short history.
    """
    booked, waiting = [], []
    for machine in range(machines):
        start = OPEN[0]
        while start < OPEN[1] - 4:
            length = min(rng.choice([4, 6, 8, 12, 16]), OPEN[1] - start)
            coming = 1 - rng.betavariate(1.2, 9)
            before = rng.choice([0, 3, 8, 25])
            known = presence(sum(rng.random() < coming for _ in range(before)), before)
            booked.append((Booked(machine, start, start + length, known), rng.random() < coming))
            start += length
    for number in range(rng.randrange(2 * machines + 2)):
        asking = Standby(
            number,
            rng.choice([2, 4, 4, 6, 8]),
            ready=rng.randrange(34, 62),
            lead=rng.choice([0, 1, 2, 4, 8]),
            priority=rng.choices([3, 2, 1], [0.2, 0.5, 0.3])[0],
            since=number,
        )
        waiting.append((asking, rng.random() < 0.95))
    return booked, waiting


def standby_row(seed: int, days: int = 200) -> list[object]:
    """A row: the share of the open hours that is used under each policy."""
    rng = random.Random(f"standby {seed}")
    used: Counter[str] = Counter()
    hours = bumped = machine_days = 0
    for _ in range(days):
        machines = rng.choice([1, 2, 4, 6, 8, 12])
        booked, waiting = day(rng, machines)
        came, answered = dict(booked), dict(waiting)
        machine_days += machines
        hours += machines * (OPEN[1] - OPEN[0])
        for policy, how in (
            ("nothing", {"release": False}),
            ("standby", {}),
            ("clairvoyant", {"clairvoyant": True}),
        ):
            use = played(
                list(came), list(answered), OPEN, comes=came.__getitem__, answers=answered.__getitem__, **how
            )
            used[policy] += use.slots
            bumped += use.bumped
    shares = [f"{used[policy] / hours:.1%}" for policy in ("nothing", "standby", "clairvoyant")]
    return [machine_days, *shares, f"{used['standby'] / used['clairvoyant']:.1%}", bumped]


def report(named: Sequence[tuple[Pool, Plan]], seed: int = 1) -> str:
    """The three tables for some pools with their plans."""
    repaired = [row for pool, plan in named for row in repair_rows(pool, plan, seed)]
    pool_names = [
        (size, n) for size in {pool.name.rstrip("0123456789"): 0 for pool, _ in named} for n in REFILLED
    ]
    refilled = [refill_row(pools.pool(size, n), seed) for size, n in pool_names if size != "XL"]
    return "\n\n".join(
        (
            "### Repair after an outage",
            markdown(REPAIR_HEAD, repaired),
            "### Freed time",
            markdown(REFILL_HEAD, refilled),
            "### Places of those who do not come",
            markdown(STANDBY_HEAD, [standby_row(seed)]),
        )
    )


def main(given: Sequence[str] | None = None) -> None:
    """Parse the words, allocate pools, run, print and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.resolver_repair", description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["S", "M", "L"], metavar="S M L XL")
    parser.add_argument("--seeds", type=int, default=1, help="pools of each size")
    words = parser.parse_args(given)
    named = []
    for size in words.sizes:
        for seed in range(1, words.seeds + 1):
            pool = pools.pool(size, seed)
            named.append((pool, solve.solve(pool, seconds=SECONDS[size], seed=seed).plan))
    text = f"{conditions()}\n\n{report(named)}"
    print(text, flush=True)
    keep(text, BEGIN, END)


if __name__ == "__main__":
    main()

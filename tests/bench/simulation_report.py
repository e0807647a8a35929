"""What the simulation tells: `python -m tests.bench simulation [--seed N]`.

With `--write` its tables and plots go into `docs/scale.md`.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench import paper
from tests.bench.measure import percentile
from tests.bench.simulation import (
    AIM,
    CHANGED,
    DAY,
    ENDLESS,
    MEASURED,
    WEEK,
    Layout,
    Nation,
    Outcome,
    Rush,
    busiest_hour,
    rates,
    run_calm,
    run_rush,
    within,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
PICTURES = PAGE.parent / "pictures"

NODES = {"measured": (2, 4, 8, 16, 32), "to reach": (1, 2, 3, 4)}
COSTS = {"measured": MEASURED, "to reach": AIM}

DISK = {
    "booking": (1.0, 182, 182),
    "booking_item": (1.02, 80, 102),
    "occupation": (1.02, 119, 375),
    "event": (2.0, 142, 102),
    "delivery": (2.0, 111, 125),
    "reminder": (1.0, 68, 97),
}
"""Rows a booking, bytes a row and bytes of its indexes, both freshly built; of events one more is assumed."""

LOGGED = 2_912
"""Bytes of write-ahead log a booking, in a small database whose pages are written often."""

PAGES = 14
"""Pages that a booking touches at most for the first time since a checkpoint, each logged whole."""


@dataclass(frozen=True)
class Case:
    """A rush to be looked at."""

    name: str
    layout: Layout
    rush: Rush = field(default_factory=Rush)


def breaking() -> list[Case]:
    """Give the cases that strain one thing each."""
    few, enough = Layout(nodes=2), Layout(nodes=32)
    no_door = replace(few, patience=ENDLESS)
    return [
        Case("too few servers, with a door", few),
        Case("too few, a door with a patience of 1 s", replace(few, patience=1.0)),
        Case("too few, and no door", no_door),
        Case("too few, no door, people send again after 5 s", no_door, Rush(patience=5.0)),
        Case("50 instruments of 200 slots", enough, Rush(instruments=50, slots=200)),
        Case("5 instruments of 2,000 slots", enough, Rush(instruments=5, slots=2000)),
        Case("one in five bookings at two facilities", enough, Rush(two_places=0.2)),
        Case("all facilities on one shard of 16 cores", enough, Rush(one_shard=True)),
        Case("one database of 4 cores", replace(enough, shards=1, shard_cores=4)),
        Case("a third counts for its organisation", enough, Rush(counted=0.33)),
    ]


def report(seed: int) -> Iterator[tuple[str, str]]:
    """Give the marks of the page with the text that belongs there, and pictures by the name of their file."""
    nation = Nation()
    yield "simulation-load", load_table(nation)
    yield "simulation-calm", _calm(nation, seed)
    yield "simulation-disk", disk_table(nation)
    rows, lines = [], {}
    for name, many in NODES.items():
        found = [(Layout(nodes=n), run_rush(Rush(), Layout(nodes=n), COSTS[name], seed=seed)) for n in many]
        rows += [rush_row(f"costs {name}", layout, Rush(), one) for layout, one in found]
        lines[name] = [(layout.cores, one) for layout, one in found]
        yield f"simulation-{name.replace(' ', '-')}", kinds_table(*found[-1])
    yield "simulation-rush", paper.table(RUSH_HEADS, rows) + _lasting(lines)
    broken = [(case, run_rush(case.rush, case.layout, MEASURED, seed=seed)) for case in breaking()]
    rows = [rush_row(case.name, case.layout, case.rush, one) for case, one in broken]
    yield "simulation-break", paper.table(RUSH_HEADS, rows)
    yield from _plots(lines)


def _lasting(lines: Mapping[str, Sequence[tuple[float, Outcome]]]) -> str:
    """Tell how many cores a rush keeps busy that goes on and on."""
    rush, told = Rush(), []
    for name, found in lines.items():
        cores, one = found[-1]
        told.append(
            f"{rush.a_second * one.web * cores * one.lasted / rush.people:,.0f} with the costs {name}"
        )
    return f"\n\nA rush that went on and on would keep so many web cores busy: {', '.join(told)}."


def load_table(nation: Nation) -> str:
    """Tell how the requests of a year are spread, and how many cores they keep busy."""
    peak = busiest_hour(nation)
    hours = [day * hour for day in WEEK for hour in DAY]
    mean = peak * sum(hours) / len(hours) / max(hours)
    rows = []
    for name, bookings in (("an hour at night", 0.0), ("mean of the week", mean), ("busiest hour", peak)):
        found = rates(nation, bookings)
        cores = [
            sum(rate * getattr(costs[kind], part) for kind, rate in found.items()) / 1000
            for costs in COSTS.values()
            for part in ("web", "database")
        ]
        rows.append([name, bookings, sum(found.values()), *cores])
    busy = [f"{part} cores, costs {name}" for name in COSTS for part in ("web", "database")]
    return paper.table(("", "bookings a second", "requests a second", *busy), rows)


def _calm(nation: Nation, seed: int) -> str:
    """Simulate two minutes of the busiest hour, on few machines."""
    layout = Layout(nodes=2, shards=1, replicas=1)
    bookings = busiest_hour(nation)
    return kinds_table(layout, run_calm(nation, layout, MEASURED, bookings=bookings, seconds=120, seed=seed))


def disk_table(nation: Nation) -> str:
    """Tell what a year adds, and what is logged on a busy day."""
    rows: list[list[object]] = []
    total = 0.0
    for name, (many, heap, index) in DISK.items():
        count = many * nation.bookings_a_year
        size = count * (heap + index) / 1e9
        total += size
        rows.append([f"`{name}`", f"{count / 1e6:,.1f} million", heap, index, f"{size:.1f}"])
    rows.append(["together", "", "", "", f"{total:.1f}"])
    a_day = nation.bookings_a_year / 52 * max(WEEK) / sum(WEEK) * (1 + CHANGED)
    low, high = (a_day * one / 1e9 for one in (LOGGED, LOGGED + PAGES * 8192))
    told = paper.table(("table", "rows a year", "bytes a row", "of its indexes", "GB a year"), rows)
    return (
        f"{told}\n\nOn a busy day {a_day:,.0f} bookings and changes write between {low:.1f} GB of log"
        f" (as measured, in a database whose pages are often written) and {high:.0f} GB (every page logged"
        " whole each time)."
    )


RUSH_HEADS = (
    "rush",
    "web cores",
    "web busy",
    "busiest shard",
    "answers within 2 s",
    "people with a real answer within 2 s",
    "p99 s",
    "503",
    "tries a person",
    "all know after s",
    "longest line for a lock",
)


def rush_row(name: str, layout: Layout, rush: Rush, found: Outcome) -> list[object]:
    """Give what a rush came to."""
    answers = found.answered
    return [
        name,
        layout.cores,
        share(found.web),
        share(found.busiest_shard),
        share(within(answers, 2.0)),
        share(within(found.first_word, 2.0, of=rush.people)),
        percentile(answers, 0.99),
        found.answers["503"],
        sum(found.tries) / max(1, len(found.tries)),
        f"{max(found.last_word, default=0):.1f}" if not found.gave_up else f"{found.gave_up:,} gave up",
        found.longest_line,
    ]


def kinds_table(layout: Layout, found: Outcome) -> str:
    """Tell of each kind of answer how long it took."""
    rows = [
        [kind, len(seconds), *(1000 * percentile(seconds, part) for part in (0.5, 0.99)), 1000 * max(seconds)]
        for kind, seconds in sorted(found.seconds.items())
    ]
    machines = f"{layout.nodes} web servers of {layout.node_cores} cores"
    busy = f"web {share(found.web)}, busiest shard {share(found.busiest_shard)}, replicas {share(found.replicas)} busy"
    people = (
        f"; {found.winners:,} booked, {found.losers:,} were told of the waitlist, {found.gave_up:,} gave up"
    )
    told = paper.table(("answer", "how many", "p50 ms", "p99 ms", "max ms"), rows)
    return f"{machines}: {busy}{people if found.winners else ''}.\n\n{told}"


def share(value: float) -> str:
    """Give a share in percent."""
    return f"{100 * value:.1f} %"


def _plots(lines: Mapping[str, Sequence[tuple[float, Outcome]]]) -> Iterator[tuple[str, str]]:
    people, across = Rush().people, "cores of web servers, in the rush"
    heard = {
        f"costs {name}": [(x, 100 * within(one.first_word, 2.0, of=people)) for x, one in found]
        for name, found in lines.items()
    }
    yield (
        "scale-answers.svg",
        paper.chart("People with a real answer within 2 s", across, "%", heard, most=100),
    )
    knew = {f"costs {name}": [(x, max(one.last_word)) for x, one in found] for name, found in lines.items()}
    title = "Until the last one knows: booked, or on the waitlist"
    yield "scale-end.svg", paper.chart(title, across, "seconds", knew, most=50)


def main(words: Sequence[str] | None = None) -> None:
    """Run it all and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put tables and plots into docs/scale.md")
    chosen = parser.parse_args(words)
    begun = time.process_time()
    for mark, text in report(chosen.seed):
        if mark.endswith(".svg"):
            if chosen.write:
                (PICTURES / mark).write_text(text)
            continue
        print(f"\n## {mark}\n\n{text}", flush=True)
        if chosen.write:
            paper.put(PAGE, mark, text)
    print(f"\n{time.process_time() - begun:.0f} s of processor time, seed {chosen.seed}")

"""All tables of the resolver: `python -m tests.bench resolver [S M L XL] [--seeds N] [--only PART]`.

Rounds: each line is a process of its own, greedy in three orders, and the engine with the seconds that its size is
given; ratios are objective ÷ certified bound of the engine. Repairs and freed time, and the latencies with the database
in the loop, follow. Tables go to the standard output and, between their marks, into docs/resolver.md.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

from booking.domain.resolution import greedy, solve, tables
from tests import pools
from tests.bench import resolver_alternatives, resolver_repair
from tests.bench.resolver_page import conditions, keep, markdown

SECONDS = {"S": 2.0, "M": 30.0, "L": 60.0, "XL": 300.0}
PARTS = ("rounds", "repairs", "latency")
BEGIN, END = "<!-- rounds: written by the benchmark -->", "<!-- rounds: end -->"
HEAD = ("pool", "method", "objective", "bound", "ratio", "served", "floors miss, h", "CPU s", "wall s", "MiB")


def measured(size: str, seed: int, method: str) -> dict[str, object]:
    """Run one method on one pool in this process, and say what it gave and took."""
    pool = pools.pool(size, seed)
    wall, cpu = time.perf_counter(), time.process_time()
    found: dict[str, object]
    if method == "engine":
        result = solve.solve(pool, seconds=SECONDS[size], seed=seed)
        found = {
            "objective": result.objective,
            "bound": result.bound,
            "served": result.served,
            "missing": sum(result.missing) / 4,
        }
    else:
        made = greedy.greedy(tables.tables(pool), method)
        found = {"objective": made.objective, "served": len(made.spots), "missing": made.missing / 4}
    return found | {
        "cpu": round(time.process_time() - cpu, 2),
        "wall": round(time.perf_counter() - wall, 2),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def apart(size: str, seed: int, method: str) -> dict[str, object]:
    """Run one method in a fresh process, so that its memory is its own."""
    words = [sys.executable, "-m", "tests.bench.resolver", "--one", size, str(seed), method]
    answer: dict[str, object] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return answer


def rows_of(size: str, seed: int) -> list[list[object]]:
    """All methods on one pool."""
    results = {method: apart(size, seed, method) for method in (*greedy.ORDERS, "engine")}
    bound = results["engine"]["bound"]
    return [
        [
            f"{size}{seed}",
            method.replace("_", " "),
            found["objective"],
            bound,
            f"{found['objective'] / bound:.4f}",
            found["served"],
            found["missing"],
            found["cpu"],
            found["wall"],
            found["memory"],
        ]
        for method, found in results.items()
    ]


def main() -> None:
    """Parse the words, run, print and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench resolver", description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["S", "M", "L"], metavar="S M L XL")
    parser.add_argument("--seeds", type=int, default=2, help="pools of each size")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these tables alone")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.one:
        size, seed, method = words.one
        print(json.dumps(measured(size, int(seed), method)))
        return
    for part in words.only or PARTS:
        {"rounds": rounds, "repairs": repaired, "latency": latency}[part](words.sizes, words.seeds)


def rounds(sizes: Sequence[str], seeds: int) -> None:
    """Measure how rounds are allocated."""
    rows = [row for size in sizes for seed in range(1, seeds + 1) for row in rows_of(size, seed)]
    table = f"{conditions()}\n\n{markdown(HEAD, rows)}"
    print(table, flush=True)
    keep(table, BEGIN, END)


def repaired(sizes: Sequence[str], _seeds: int) -> None:
    """Measure repairs, freed time and standby."""
    resolver_repair.main([*sizes])


def latency(_sizes: Sequence[str], _seeds: int) -> None:
    """Measure what people wait for."""
    resolver_alternatives.main([])


if __name__ == "__main__":
    main()

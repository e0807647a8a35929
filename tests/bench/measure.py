"""Processor time of server processes, percentiles, and a table to print."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench import page

TICK = 1000 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent(pid: int) -> int:
    """Give the process that started it."""
    return int(_stat(pid)[1])


def family(pid: int) -> list[int]:
    """Give a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(parent(int(entry.name)), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += children.get(found[-1], [])
    return found


def cpu_ms(roots: Iterable[int]) -> float:
    """Give the processor milliseconds of these processes, their living children and those that have ended."""
    total = 0
    for root in roots:
        for pid in family(root):
            try:
                total += sum(int(field) for field in _stat(pid)[11:15])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total * TICK


def pss_mib(pid: int) -> float:
    """Give the memory of a process in MiB, what it shares counted in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(title: str, rows: Sequence[Sequence[object]], *heads: str) -> None:
    """Print a table, and keep it for `shown`."""
    _shown.append((title, heads, rows))
    table = [
        list(heads),
        *([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows),
    ]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    print(f"\n## {title}")
    for index, row in enumerate(table):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


_shown: list[tuple[str, Sequence[str], Sequence[Sequence[object]]]] = []


def shown() -> str:
    """Give all tables that were printed, in Markdown."""
    return "\n\n".join(f"### {title}\n\n{page.table(heads, rows)}" for title, heads, rows in _shown)

"""What the server weighs: `python -m tests.bench weight [--write]`.

What each package costs to load and on the disk, how long a server takes until it is ready (the first time, with cold
files of byte code, and the second), and the memory of its processes after a hundred pages. With `--write` the tables
go into docs/performance.md too, between their marks.
"""

import argparse
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from booking import db
from tests.bench import measure
from tests.bench.resolver_repair import markdown

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- weight: written by the benchmark -->", "<!-- weight: end -->"
MEBI = 1024 * 1024
SMALL = 1.0
"""Packages below this many MiB, which cost less than as many milliseconds, are told as one."""


def loading() -> dict[str, float]:
    """Give the milliseconds of each top module's own code while `booking.app` is imported, the best of three."""
    best: dict[str, float] = {}
    for _ in range(3):
        told = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", "import booking.app"],
            capture_output=True,
            check=True,
            cwd=ROOT,
            text=True,
        ).stderr
        found: dict[str, float] = defaultdict(float)
        for line in told.splitlines():
            parts = line.removeprefix("import time:").split("|")
            if len(parts) == 3 and parts[0].strip().isdigit():
                found[parts[2].strip().partition(".")[0]] += int(parts[0]) / 1000
        if not best or sum(found.values()) < sum(best.values()):
            best = dict(found)
    return best


def installed() -> dict[str, tuple[float, list[str]]]:
    """Give the MiB of each package that a server has installed, with the modules it brings."""
    wanted, left = set(), ["yiqi"]
    while left:
        name = left.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for line in importlib.metadata.requires(name) or ():
            if "extra ==" not in line:
                other = line.split(";")[0].strip().split()[0]
                for mark in "<>=!~[(":
                    other = other.partition(mark)[0]
                if _there(other):
                    left.append(other)
    wanted.discard("yiqi")
    modules = defaultdict(list)
    for module, names in importlib.metadata.packages_distributions().items():
        for name in names:
            modules[name.lower()].append(module)
    found = {}
    for name in wanted:
        package = importlib.metadata.distribution(name)
        size = sum(
            path.stat().st_size
            for file in package.files or ()
            if (path := Path(package.locate_file(file))).is_file()
        )
        found[package.name] = size / MEBI, modules[package.name.lower()]
    return found


def _there(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def packages() -> list[list[object]]:
    """Give a row for each package: what it weighs on the disk, and what it costs to load."""
    cost = loading()
    rows, rest = [], 0.0
    for name, (size, modules) in sorted(installed().items(), key=lambda pair: -pair[1][0]):
        milliseconds = sum(cost.get(module, 0.0) for module in set(modules))
        if size < SMALL and milliseconds < SMALL:
            rest += size
        else:
            rows.append([name, size, milliseconds or "not loaded at the start"])
    rows.append(["all others", rest, ""])
    ours = sum(cost.get(name, 0.0) for name in ("booking", "models"))
    rows.append(["our own modules", "", ours])
    return rows


def starts(workers: int) -> list[list[object]]:
    """Start `yiqi serve` twice on an empty database: until it answers, its processor time, and its memory."""
    rows = []
    with tempfile.TemporaryDirectory() as home:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        env = {name: value for name, value in os.environ.items() if not name.startswith("YIQI_")} | {
            "YIQI_INSTANCE": home,
            "YIQI_WORKERS": str(workers),
            "YIQI_LOG_LEVEL": "WARNING",
            "PYTHONPYCACHEPREFIX": f"{home}/bytes",  # so that the first start is a first one
            "PYTHONDONTWRITEBYTECODE": "",  # and the second one is not
        }
        db.upgrade(f"sqlite:///{home}/yiqi.sqlite3")
        for which in ("first", "second"):
            begun = time.perf_counter()
            words = [sys.executable, "-m", "booking", "serve", "--port", str(port)]
            with subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as server:
                try:
                    _ask(port, "/healthz", 60)
                    ready, cpu = time.perf_counter() - begun, measure.cpu_ms([server.pid])
                    for _ in range(50):
                        _ask(port, "/", 60)
                        _ask(port, "/instruments", 60)
                    weights = {pid: measure.pss_mib(pid) for pid in measure.family(server.pid)}
                finally:
                    server.send_signal(signal.SIGTERM)
            largest = max(weight for pid, weight in weights.items() if pid != server.pid)
            rows.append([workers, which, ready, cpu, largest, sum(weights.values())])
        shutil.rmtree(f"{home}/bytes", ignore_errors=True)
    return rows


def _ask(port: int, path: str, patience: float) -> None:
    until = time.perf_counter() + patience
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                answer.read()
                return
        except OSError:
            if time.perf_counter() > until:
                raise
            time.sleep(0.02)


def main() -> None:
    """Parse the words and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench weight", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/performance.md too")
    words = parser.parse_args()
    load = os.getloadavg()[0]
    weights = ("package", "MiB on disk", "ms to load")
    start = ("workers", "start", "ready s", "CPU ms", "worker PSS MiB", "all processes MiB")
    tables = [(packages(), weights), (starts(1) + starts(2), start)]
    for rows, heads in tables:
        measure.show("what it weighs", rows, *heads)
    if words.write:
        told = f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, load average {load:.1f} at the start."
        _write("\n\n".join([told, *(markdown(heads, _shown(rows)) for rows, heads in tables)]))


def _shown(rows: list[list[object]]) -> list[list[object]]:
    return [[f"{cell:.1f}" if isinstance(cell, float) else cell for cell in row] for row in rows]


def _write(told: str) -> None:
    text = PAGE.read_text() if PAGE.exists() else "# Performance\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n## Weight\n\n{BEGIN}\n{END}\n"
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n\n{told}\n\n{END}{rest.partition(END)[2]}")

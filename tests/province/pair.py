"""A province's database for tests: a primary, a replica that streams from it, PgBouncer before both.

`python -m tests.province.pair` says whether PgBouncer is there.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg

from tests import postgres
from tests.postgres import Cluster

DATABASE = "yiqi"
READING = "yiqi_read"
PATIENCE = 60  # seconds, on a busy machine

ROLE = {
    "TimeZone": "UTC",
    "statement_timeout": "15s",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "15s",
}
"""What connections have by their role, since PgBouncer passes no options on; as docs/deploy.md says."""

POOLER = f"""[databases]
{DATABASE} = host=127.0.0.1 port={{primary}} user=yiqi
{READING} = host=127.0.0.1 port={{replica}} user=yiqi dbname={DATABASE}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {{port}}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
server_login_retry = 1
server_connect_timeout = 2
server_fast_close = 1
query_wait_timeout = 5
"""


def pgbouncer() -> str:
    """Give the program.

    :raises RuntimeError: if it is not there
    """
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError("no PgBouncer: install its package")
    return found


class Pair:
    """The servers while the context lasts. What one acknowledges the other has: the replica is a synchronous one.

    Durability on disk is off: nothing here survives the test, and processes are killed, not machines.
    """

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="yiqi-pair-"))
        self._as_user = postgres._as_user(self.home)
        self._programs = postgres._runnable(postgres.programs(), self._as_user, self.home)
        self.primary = Cluster(postgres._free_port())
        self.replica = Cluster(postgres._free_port())
        self.pooler = postgres._free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the nodes write."""
        return f"postgresql://yiqi@127.0.0.1:{self.pooler}/{DATABASE}"

    @property
    def read_url(self) -> str:
        """Where the nodes read what may come from the replica."""
        return f"postgresql://yiqi@127.0.0.1:{self.pooler}/{READING}"

    @property
    def direct_url(self) -> str:
        """Whoever of the two takes writes, without the pooler."""
        ports = f"{self.primary.port},{self.replica.port}"
        hosts = "127.0.0.1,127.0.0.1"
        return (
            f"postgresql://yiqi@/{DATABASE}?host={hosts}&port={ports}"
            "&target_session_attrs=read-write&connect_timeout=2"
        )

    def pause(self) -> None:
        """Let the replica take changes in and not show them."""
        self._tell(self.replica, "SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        """Let it show them."""
        self._tell(self.replica, "SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Return when the replica shows all that was written."""
        with psycopg.connect(self.primary.url(), autocommit=True) as connection:
            [place] = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        until = time.monotonic() + PATIENCE
        while not self._tell(self.replica, f"SELECT pg_last_wal_replay_lsn() >= '{place}'"):
            assert time.monotonic() < until, "the replica does not catch up"
            self._stays("replica")

    def kill_primary(self) -> None:
        """Kill all its processes at once, as if the machine were gone."""
        server = self._processes.pop("primary")
        os.kill(server.pid, signal.SIGSTOP)  # so that it begins none meanwhile
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in (*map(int, children), server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait()

    def promote(self) -> None:
        """Make the replica the primary and lead PgBouncer to it."""
        assert self._tell(self.replica, "SELECT pg_promote()")
        self._write_pooler(self.replica.port)
        self._processes["pooler"].send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Stop everything; the data is thrown away."""
        for name, process in self._processes.items():
            # PgBouncer ignores what whoever started the tests ignored; it keeps nothing, and may be killed.
            process.send_signal(signal.SIGKILL if name == "pooler" else signal.SIGQUIT)
        for process in self._processes.values():
            process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self) -> None:
        postgres._initialise([*self._as_user, self._programs / "initdb", "-D", self.home / "primary"])
        self._serve("primary", self.primary)
        self._tell(self.primary, f"CREATE DATABASE {DATABASE}")
        for name, value in ROLE.items():
            self._tell(self.primary, f"ALTER ROLE yiqi IN DATABASE {DATABASE} SET {name} = '{value}'")
        words = [self._programs / "pg_basebackup", "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        words += ["-D", self.home / "replica", "-h", "127.0.0.1", "-p", str(self.primary.port), "-U", "yiqi"]
        copied = subprocess.run([*self._as_user, *words], check=False, capture_output=True, text=True)
        assert copied.returncode == 0, copied.stderr
        self._serve("replica", self.replica)
        self._tell(self.primary, "ALTER SYSTEM SET synchronous_standby_names = 'replica'")
        self._tell(self.primary, "SELECT pg_reload_conf()")
        self._write_pooler(self.primary.port)
        self._run("pooler", [pgbouncer(), self.home / "pgbouncer.ini"])
        self._wait_for_pooler()

    def _serve(self, name: str, cluster: Cluster) -> None:
        options = ["-k", self.home, "-h", "127.0.0.1", "-p", str(cluster.port), "-F"]
        options += ["-c", f"cluster_name={name}", "-c", "wal_receiver_status_interval=1"]
        options += ["-c", "hot_standby_feedback=on"]
        process = self._run(name, [self._programs / "postgres", "-D", self.home / name, *options])
        postgres._wait(process, cluster, self.home / f"{name}.log")

    def _run(self, name: str, words: list[str | Path]) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [*self._as_user, *postgres.dies_with_us(), *words],
                cwd=self.home,
                env=postgres._environment(),
                stdout=log,
                stderr=log,
            )
        return self._processes[name]

    def _write_pooler(self, primary: int) -> None:
        text = POOLER.format(primary=primary, replica=self.replica.port, port=self.pooler)
        (self.home / "pgbouncer.ini").write_text(text)

    def _wait_for_pooler(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.pooler), 1):
                return
            assert time.monotonic() < until, (self.home / "pooler.log").read_text()
            self._stays("pooler")

    def _stays(self, name: str) -> None:
        """Let a moment go by in which it does not end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._processes[name].wait(timeout=0.03)
            raise AssertionError((self.home / f"{name}.log").read_text())

    @staticmethod
    def _tell(cluster: Cluster, statement: str) -> object:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchone()[0] if done.description else None


@contextlib.contextmanager
def pair() -> Iterator[Pair]:
    """Run them."""
    with Pair() as servers:
        yield servers


if __name__ == "__main__":
    try:
        print(pgbouncer())
    except RuntimeError as error:
        sys.exit(str(error))

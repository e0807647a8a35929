"""Real `yiqi jobs` processes: one works, another takes over, whatever befalls the first."""

import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import psycopg
import pytest

from booking import db
from booking.services import jobs
from tests.jobs.sink import sink
from tests.jobs.test_deliver import _environment
from tests.servers import ROOT

pytestmark = pytest.mark.server
PATIENCE = 60  # seconds, on a busy machine
LOCKED_LEASE = "SELECT 1 FROM job_lease FOR UPDATE NOWAIT"


class Jobs:
    """A jobs process whose log can be waited for."""

    def __init__(self, settings, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "booking", "jobs", *arguments],
            cwd=ROOT,
            env=_environment(settings),
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def says(self, message: str) -> None:
        """Wait until it logs this."""
        until = time.monotonic() + PATIENCE
        try:
            while (line := self._lines.get(timeout=max(0, until - time.monotonic()))) is not None:
                self.seen.append(line)
                if json.loads(line)["message"] == message:
                    return
        except queue.Empty:
            pass
        raise AssertionError(f"it never said {message!r}, only {self.seen}")

    def pause(self) -> None:
        """Stop it for now, at a moment when it holds no lock: a file locked by one who stands still is locked."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self.send(signal.SIGSTOP)
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
            if writable():
                return
            self.send(signal.SIGCONT)
        raise AssertionError("it holds its lock whenever it is paused")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end."""
        code = self.process.wait(PATIENCE)
        self._reader.join()
        self.process.stderr.close()
        self.process.stdin.close()
        return code


@pytest.fixture
def start(settings):
    running: list[Jobs] = []

    def begin(given=settings, *arguments: str) -> Jobs:
        running.append(Jobs(given, *arguments))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.end()


def test_another_takes_over_from_one_that_is_paused_killed_or_stopped(settings, book, start):
    with sink() as server:
        reached = replace(settings, smtp_url=server.url)
        first = start(reached)
        first.says("leading")
        second = start(reached)
        second.says("jobs started")
        book(1)
        wait_for(server, 1)

        first.pause()
        second.says("leading")
        book(1)
        wait_for(server, 2)

        first.send(signal.SIGCONT)
        first.says("somebody else leads now")
        second.send(signal.SIGKILL)
        first.says("leading")
        book(1)
        wait_for(server, 3)
        assert second.end() == -signal.SIGKILL

        first.send(signal.SIGTERM)
        assert first.end() == 0
    with db.reading() as session:
        assert jobs.lease(session).holder == ""
    # One who is paused or killed between sending and marking leaves a second sending to the next one.
    assert len(server.ids) <= 3 + 2


def writable() -> bool:
    """Say whether the lease can be written at once."""
    question = "BEGIN IMMEDIATE" if db.engine().dialect.name == "sqlite" else LOCKED_LEASE
    connection = db.engine().raw_connection()
    try:
        if db.engine().dialect.name == "sqlite":
            connection.driver_connection.execute("PRAGMA busy_timeout=0")
        connection.driver_connection.execute(question)
    except (sqlite3.OperationalError, psycopg.errors.LockNotAvailable):
        return False
    finally:
        connection.invalidate()
    return True


def wait_for(server, number: int) -> None:
    """Wait until so many different messages have come."""
    while len(set(server.ids)) < number:
        assert server.arrived.acquire(timeout=PATIENCE), f"only {server.ids} came"


def test_beside_a_server_it_ends_with_it(start, settings):
    one = start(settings, "--with-parent")
    one.says("leading")
    one.process.stdin.close()
    one.says("jobs stopped")
    assert one.end() == 0


def test_its_log_is_json_and_names_what_it_cannot_reach(start, settings):
    if settings.sqlite:
        pytest.skip("a file is always there")
    one = start(replace(settings, database_url="postgresql://yiqi:pass-9f2c@127.0.0.1:1/nothing"))
    one.says("the database is not available")
    one.send(signal.SIGTERM)
    assert one.end() == 0
    assert "pass-9f2c" not in "".join(one.seen)

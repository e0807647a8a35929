"""Who leads: of all `yiqi jobs` processes on one database, one runs the timetable.

The leader holds a lock that dies with it (a file's on SQLite, the server's on PostgreSQL) and raises the
lease's beat. So another knows that it is dead when the lock is free and the beat stands still, and takes over
in seconds; and that it is paused or cut off when the beat stands still for longer though the lock is held.
Whoever comes back finds the lease's fence raised, and steps down.
"""

import contextlib
import fcntl
import logging
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import psycopg

from booking.config import Settings
from booking.db import Unavailable, reading, transaction
from booking.services import jobs
from booking.services.jobs import Lease

BEAT = 2.0
"""Seconds between two signs of life."""

DEAD = 2 * BEAT
"""Seconds without a sign of life after which one whose lock is free is dead."""

GONE = 6 * BEAT
"""Seconds without a sign of life after which one whose lock is held has been paused or cut off."""

LOCK = 727_001
"""Our number among the advisory locks of the database."""

_log = logging.getLogger(__name__)


class Lock(Protocol):
    """A lock that its holder loses by dying."""

    def take(self) -> bool:
        """Try to take it, or say that it is still held."""

    def drop(self) -> None:
        """Give it back."""


class FileLock:
    """The lock of a database that is a file: all its processes are on one machine."""

    def __init__(self, path: Path) -> None:
        """Lock this file, which is made where it is missing."""
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Try to take the lock."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def drop(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None


class ServerLock:
    """The lock of a PostgreSQL database, held by a connection whose end the server notices soon."""

    def __init__(self, url: str) -> None:
        """Connect to this database when the lock is first wanted."""
        self._url = re.sub(r"^postgresql\+\w+:", "postgresql:", url)
        self._connection: psycopg.Connection | None = None
        self._held = False

    def take(self) -> bool:
        """Try to take the lock."""
        try:
            if self._connection is None:
                self._held = False
                self._connection = psycopg.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=5,
                    application_name="yiqi jobs",
                    options="-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2",
                    keepalives_idle=5,
                    keepalives_interval=2,
                    keepalives_count=2,
                )
            question = "SELECT true" if self._held else f"SELECT pg_try_advisory_lock({LOCK})"
            row = self._connection.execute(question).fetchone()
            self._held = bool(row and row[0])
        except psycopg.Error:
            self.drop()
        return self._held

    def drop(self) -> None:
        """Give it back."""
        if self._connection is not None:
            if self._held:
                # The server drops it too when it notices that we are gone, which is a little later.
                with contextlib.suppress(psycopg.Error):
                    self._connection.execute("SELECT pg_advisory_unlock_all()")
            self._connection.close()
            self._connection = None
        self._held = False


def lock_for(settings: Settings) -> Lock:
    """Give the lock that suits the database."""
    return FileLock(settings.instance / "jobs.lock") if settings.sqlite else ServerLock(settings.direct_url)


class Leader:
    """One process's part in the question who leads."""

    def __init__(self, lock: Lock, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take part with this lock; the clock is our own and need agree with no other."""
        self._lock = lock
        self._clock = clock
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._seen: tuple[Lease, float] | None = None
        self._fence: int | None = None
        self.succeeds_the_dead = False

    def campaign(self) -> bool:
        """Try once to become the leader."""
        try:
            with reading() as session:
                seen = jobs.lease(session)
            still = self._still(seen)
            free = not seen.holder
            alone = (free or still >= DEAD) and self._lock.take()
            if not alone and still < GONE:
                return False
            with transaction() as session:
                self._fence = jobs.seize(session, holder=self._name, seen=seen)
        except Unavailable as error:
            _log.warning("the database is not available", extra={"fields": {"error": str(error)}})
            self._fence = None
        if self._fence is None:
            self._lock.drop()
            return False
        self.succeeds_the_dead = alone
        _log.info("leading", extra={"fields": {"fence": self._fence, "before": seen.holder}})
        return True

    def _still(self, seen: Lease) -> float:
        """Give for how long the lease has not changed, as far as we saw."""
        if self._seen is None or self._seen[0] != seen:
            self._seen = seen, self._clock()
        return self._clock() - self._seen[1]

    def lives(self) -> bool:
        """Show a sign of life; False says that somebody else leads, or that nobody can know."""
        if self._fence is None:
            return False
        # One who took over from a paused leader gets the lock only when that one is back, and steps down.
        self._lock.take()
        try:
            with transaction() as session:
                if jobs.renew(session, fence=self._fence):
                    return True
        except Unavailable as error:
            _log.warning("no sign of life could be given", extra={"fields": {"error": str(error)}})
        self.step_down()
        return False

    def still_leads(self) -> bool:
        """Look whether the lease is ours; for a job that is about to begin."""
        with reading() as session:
            return self._fence is not None and jobs.lease(session).fence == self._fence

    def step_down(self) -> None:
        """Lead no more."""
        self._fence = None
        self._seen = None
        self._lock.drop()

    def resign(self) -> None:
        """Give the lease back, so that another need not wait."""
        if self._fence is not None:
            try:
                with transaction() as session:
                    jobs.resign(session, fence=self._fence)
            except Unavailable:
                _log.warning("the lease could not be given back")
        self.step_down()

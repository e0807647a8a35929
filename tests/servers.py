"""A real gunicorn on a free port, for tests that need processes, sockets and simultaneous clients."""

import contextlib
import http.client
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, Self

from tests.loaded import loaded
from tests.postgres import dies_with_us

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN = 60  # seconds, on a busy machine
STOPS_WITHIN = 30


class GunicornServer:
    """Serve wsgi:app from a database while the context lasts.

    Leaving it fails if the server printed a traceback, unless `faults_expected`. `env` adds settings.
    The files the server keeps live in `instance`, a folder that goes away with it.
    """

    forked: ClassVar = False
    """Whether servers come from a process that has loaded the application: the tests' do, those of benches do not."""

    def __init__(
        self,
        database_url: str,
        *,
        workers: int = 2,
        threads: int = 8,
        env: Mapping[str, str] | None = None,
        faults_expected: bool = False,
        application: str = "wsgi:app",
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="yiqi-server-"))
        self.instance = self.home / "instance"
        self.instance.mkdir()
        self.port = 0
        self._workers = workers
        self._application = application
        self._threads = threads
        self._faults_expected = faults_expected
        self._log = self.home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._listener: socket.socket | None = None
        self._gone: int | None = None
        clean = {name: value for name, value in os.environ.items() if not name.startswith("YIQI_")}
        self._env = clean | {
            "YIQI_DATABASE_URL": database_url,
            "YIQI_INSTANCE": str(self.instance),
            "YIQI_SECRET_KEY": "a key for tests, and for tests alone",
            "YIQI_RATE_LIMITS": "no",
            "YIQI_REQUESTS_PER_MINUTE": "0",
            "YIQI_PATIENCE_SECONDS": "0",
            **(env or {}),
        }

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The master's process id."""
        return self._running()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
            faulty = "Traceback (most recent call last)" in self.log()
            if faulty and kind is None and not self._faults_expected:
                raise AssertionError(f"the server printed a traceback:\n{self._end_of_log()}")
        finally:
            self._clean_up()

    def start(self) -> None:
        """Start, on the same port when started again, and return when /healthz answers.

        The socket that listens outlives a killed server: whoever asks meanwhile waits for the next one.
        """
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
            self.port = self._listener.getsockname()[1]
        # Ends when the last process that holds its other side has ended, workers included.
        self._gone, alive = os.pipe()
        with self._log.open("ab") as log, os.fdopen(alive, "wb") as alive:
            self._pid = self._begun(log, self._listener.fileno(), alive.fileno())
        try:
            status = self._ask("/healthz")
        except (OSError, http.client.HTTPException) as error:
            self.kill()
            raise RuntimeError(f"the server did not start: {error!r}\n{self._end_of_log()}") from None
        if status != 200:
            self.kill()
            raise RuntimeError(f"the server started ill, /healthz says {status}:\n{self._end_of_log()}")

    def _begun(self, log: BinaryIO, *keep: int) -> int:
        if self.forked:
            return loaded.start(self._words("{0}"), self._env, log.fileno(), keep)
        self._process = subprocess.Popen(
            [*dies_with_us(), sys.executable, "-m", *self._words(str(keep[0]))],
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=keep,
            start_new_session=True,
        )
        return self._process.pid

    def _words(self, listener: str) -> list[str]:
        words = ["gunicorn", self._application, "--bind", f"fd://{listener}"]
        words += ["--worker-class", "gthread", "--workers", str(self._workers)]
        words += ["--threads", str(self._threads), "--no-control-socket"]
        return [*words, "--timeout", "60", "--graceful-timeout", "20"]

    def stop(self) -> None:
        """Stop as an operator does, letting requests finish."""
        if not self._pid:
            return
        os.kill(self._pid, signal.SIGTERM)
        if not self._ended():
            self.kill()
            raise AssertionError(f"the server did not stop in {STOPS_WITHIN} s:\n{self._end_of_log()}")
        self._forget()

    def kill(self) -> None:
        """Kill the server's processes at once, as a power cut would, and return when none is left."""
        if not self._pid:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        if not self._ended():
            raise RuntimeError("the server outlived its killing")
        self._forget()

    def _ended(self) -> bool:
        ready, _, _ = select.select([self._gone], [], [], STOPS_WITHIN)
        return bool(ready)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
        os.close(self._gone)
        self._pid, self._process, self._gone = 0, None, None

    def log(self) -> str:
        """Give what the server printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _end_of_log(self) -> str:
        return self.log()[-8000:]

    def _running(self) -> int:
        if not self._pid:
            raise RuntimeError("the server does not run")
        return self._pid

    def _ask(self, path: str) -> int:
        """Give the status of an answer, as soon as it comes or the server has died."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STARTS_WITHIN)
        try:
            connection.request("GET", path)
            ready, _, _ = select.select([connection.sock, self._gone], [], [], STARTS_WITHIN)
            if connection.sock not in ready:
                raise ConnectionError("the server died" if ready else f"no answer in {STARTS_WITHIN} s")
            return connection.getresponse().status
        finally:
            connection.close()

    def _clean_up(self) -> None:
        self.kill()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        shutil.rmtree(self.home, ignore_errors=True)

"""A process that has loaded the application, from which servers of tests are forked: loading it takes seconds.

`python -m tests.loaded FD` is that process. It ends, and all servers with it, when the other side of its socket closes.
"""

import contextlib
import ctypes
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 100_000
SET_DEATH_SIGNAL = 1  # of prctl


class Loaded:
    """The process, from the side of the tests; it starts with the first server."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, words: Sequence[str], env: Mapping[str, str], log: int, keep: Sequence[int]) -> int:
        """Run `python -m` with these words in a process of its own, and give its id.

        `{0}`, `{1}` in a word stand for what the descriptors to keep are called there.
        """
        if self._socket is None:
            self._begin()
        told = json.dumps([list(words), dict(env)]).encode()
        assert len(told) < MOST_BYTES
        socket.send_fds(self._socket, [told], [log, *keep])
        return int(self._socket.recv(20))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._process.wait()
            self._socket = self._process = None

    def _begin(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.loaded", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )


loaded = Loaded()


def main(ours: socket.socket) -> None:
    load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: they leave nothing
    while True:
        told, descriptors, _, _ = socket.recv_fds(ours, MOST_BYTES, 10)
        if not told:
            return
        child = os.fork()
        if not child:
            run(*json.loads(told), ours, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        ours.send(str(child).encode())


def load() -> None:
    """Import all that an application imports while it is built, by building one that never meets its database."""
    import gunicorn.app.wsgiapp
    import gunicorn.workers.gthread  # noqa: F401
    import psycopg  # noqa: F401

    from booking import db
    from booking.app import create_app
    from booking.config import Settings

    create_app(Settings(database_url="postgresql://127.0.0.1:1/none", secret_key="x" * 40), check=False)
    db.dispose()


def run(words: list[str], env: dict[str, str], ours: socket.socket, log: int, *kept: int) -> None:
    """Become what the words say, as if it were just started."""
    with contextlib.suppress(BaseException):
        os.setsid()
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGQUIT)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ours.close()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = [word.format(*kept) for word in words]
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    os._exit(0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))

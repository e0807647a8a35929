"""A process that solves: started with a question, asked for its messages, told to stop, ended by force."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from typing import IO, Any

PROGRAM = "booking.jobs.solver"
"""The module that is run; it reads lines of JSON and writes them."""


class Solver:
    """One such process. It ends by itself when whoever started it is gone, since its input ends then."""

    def __init__(self, process: "subprocess.Popen[str]", request: Mapping[str, Any]) -> None:
        """Hand over the question, and listen from now on."""
        self._process = process
        self._messages: Queue[dict[str, Any]] = Queue()
        self._errors: list[str] = []
        self._talking = threading.Thread(target=self._talk, args=[request], daemon=True)
        self._talking.start()

    def next(self, seconds: float) -> dict[str, Any] | None:
        """Give its next message: `progress`, `result` or `error`; None when it said nothing for so long."""
        try:
            return self._messages.get(timeout=seconds)
        except Empty:
            return None

    def stop(self) -> None:
        """Tell it to answer with the best that it has."""
        with suppress(OSError):  # it has ended by itself
            _write(self._process.stdin, "stop")

    def end(self) -> None:
        """End it by force, if it still lives, and hear it out."""
        self._process.kill()
        self._talking.join()

    def _talk(self, request: Mapping[str, Any]) -> None:
        listener = threading.Thread(target=self._note_errors, daemon=True)
        listener.start()
        try:
            _write(self._process.stdin, json.dumps(request))
            for line in self._process.stdout or ():
                self._messages.put(json.loads(line))
        except (OSError, ValueError) as error:
            self._errors.append(f"{type(error).__name__}: {error}")
        listener.join()
        last = "".join(self._errors).strip().splitlines()
        self._messages.put({"error": last[-1] if last else "the solver ended without an answer"})

    def _note_errors(self) -> None:
        with suppress(OSError, ValueError):
            self._errors.append(self._process.stderr.read() if self._process.stderr else "")


@contextmanager
def started(request: Mapping[str, Any]) -> Iterator[Solver]:
    """Start a process for one question; it is gone at the end, however that comes."""
    with subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
        [sys.executable, "-m", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        solver = Solver(process, request)
        try:
            yield solver
        finally:
            solver.end()


def _write(pipe: IO[str] | None, line: str) -> None:
    if pipe is not None:
        pipe.write(line + "\n")
        pipe.flush()

"""The process that solves: reads what to solve from its input, tells how far it is, and what it found, on its output.

Each line is JSON. It stops with the best it has when it is told so, and when whoever started it is gone.
"""

import json
import os
import sys
import threading
from typing import Any, TextIO

from booking.domain.resolution.answers import answer

NICENESS = 10
"""Pages come first: the solver takes what the processors have left."""


def main() -> None:
    """Solve what the first line of the input asks for."""
    os.nice(NICENESS)
    request = json.loads(sys.stdin.readline())
    stopped = threading.Event()
    threading.Thread(target=_watch, args=(sys.stdin, stopped), daemon=True).start()
    out = sys.stdout
    found = answer(
        request["kind"],
        request["document"],
        seconds=request["seconds"],
        seed=request["seed"],
        on_progress=lambda progress: _tell(out, {"progress": progress}),
        stopped=stopped.is_set,
    )
    _tell(out, {"result": found})


def _watch(commands: TextIO, stopped: threading.Event) -> None:
    # A line says stop; so does the end, which comes when the other side is gone.
    commands.readline()
    stopped.set()


def _tell(out: TextIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main()

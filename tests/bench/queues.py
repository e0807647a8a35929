"""A small simulator of queues: processes are generators, and yield what they wait for.

A process yields seconds to sleep, `(pool, seconds)` to be served by one of a pool's servers, first come first served,
`(pool, seconds, True)` to be served before all who stand in line, or a gate, where it holds a place from then on until
it gives it back. Time is simulated seconds; the same processes and the same seeds give the same run.
"""

from collections import deque
from collections.abc import Generator
from heapq import heappop, heappush
from itertools import count

Process = Generator[object, None, None]
"""What somebody does, step by step."""


class Clock:
    """What happens next: the one heap of a run."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ahead: list[tuple[float, int, Process, Pool | None]] = []
        self._order = count()

    def start(self, process: Process, at: float) -> None:
        """Let a process begin."""
        heappush(self._ahead, (at, next(self._order), process, None))

    def run(self, until: float = float("inf")) -> None:
        """Go on until nothing is left to happen, or until this time."""
        ahead = self._ahead
        while ahead and ahead[0][0] <= until:
            self.now, _, process, served_by = heappop(ahead)
            if served_by is not None:
                served_by.leave(self)
            self.resume(process)
        if until < float("inf"):
            self.now = until

    def resume(self, process: Process) -> None:
        """Let a process go on until it must wait."""
        for wish in process:
            if isinstance(wish, tuple):
                wish[0].enter(self, process, *wish[1:])
                return
            if isinstance(wish, Gate):
                if not wish.take(process):
                    return
            elif isinstance(wish, float):
                self.after(wish, process)
                return
            else:
                raise TypeError(f"nothing to wait for: {wish!r}")

    def after(self, seconds: float, process: Process, served_by: "Pool | None" = None) -> None:
        """Let a process go on later."""
        heappush(self._ahead, (self.now + seconds, next(self._order), process, served_by))


class Pool:
    """Servers that are alike, with one line before them: the cores of a machine."""

    def __init__(self, servers: int) -> None:
        self.servers = servers
        self.idle = servers
        self.line: deque[tuple[Process, float]] = deque()
        self.longest = 0
        self.worked = 0.0

    def enter(self, clock: Clock, process: Process, seconds: float, first: bool = False) -> None:
        """Serve a process, or let it stand in line."""
        if self.idle:
            self.idle -= 1
            self._serve(clock, process, seconds)
        else:
            (self.line.appendleft if first else self.line.append)((process, seconds))
            self.longest = max(self.longest, len(self.line))

    def leave(self, clock: Clock) -> None:
        """End a service; the next in line is served."""
        if self.line:
            self._serve(clock, *self.line.popleft())
        else:
            self.idle += 1

    def _serve(self, clock: Clock, process: Process, seconds: float) -> None:
        self.worked += seconds
        clock.after(seconds, process, self)

    def utilisation(self, seconds: float) -> float:
        """Give the share of this time that its servers were busy."""
        return self.worked / (self.servers * seconds)


class Gate:
    """Places that are held for a while: a lock where there is one, the places inside a server where there are more."""

    def __init__(self, places: int = 1) -> None:
        self.places = places
        self.free = places
        self.line: deque[Process] = deque()
        self.longest = 0

    def take(self, process: Process) -> bool:
        """Tell whether there is a place at once; else the process is woken when it has one."""
        if self.free:
            self.free -= 1
            return True
        self.line.append(process)
        self.longest = max(self.longest, len(self.line))
        return False

    def give_back(self, clock: Clock) -> None:
        """Hand a place to the next in line, who goes on at once."""
        if self.line:
            clock.after(0.0, self.line.popleft())
        else:
            self.free += 1

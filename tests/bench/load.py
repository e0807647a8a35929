"""Clients that keep their connections and send prepared requests, in processes of their own.

They do as little as they can besides, since they share the machine with the server.
"""

import multiprocessing
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PROCESSES = 2


@dataclass
class Outcome:
    """What a load met: statuses, seconds of each request, seconds in all."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.elapsed if self.elapsed else 0.0


def request(method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Give the bytes of a request on a kept connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(port: int, requests: Sequence[bytes], clients: int) -> Outcome:
    """Send every request once, over so many connections at a time."""
    processes = min(PROCESSES, clients)
    pipes = []
    barrier = multiprocessing.Barrier(processes + 1)
    for index in range(processes):
        mine = requests[index::processes]
        threads = clients // processes + (index < clients % processes)
        here, there = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=_process, args=(port, mine, threads, barrier, there))
        process.start()
        pipes.append((process, here))
    barrier.wait()
    begun = time.perf_counter()
    result = Outcome()
    for process, pipe in pipes:
        statuses, seconds = pipe.recv()
        result.statuses += statuses
        result.seconds += seconds
        process.join()
    result.elapsed = time.perf_counter() - begun
    return result


def _process(port: int, requests: Sequence[bytes], threads: int, barrier, pipe) -> None:
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    workers = [
        threading.Thread(target=_client, args=(port, requests[index::threads], statuses, seconds))
        for index in range(threads)
    ]
    barrier.wait()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    pipe.send((statuses, seconds))


def _client(port: int, requests: Sequence[bytes], statuses: Counter[int], seconds: list[float]) -> None:
    connection: socket.socket | None = None
    for wanted in requests:
        begun = time.perf_counter()
        if connection is None:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(wanted)
        status, closes = _answer(connection)
        seconds.append(time.perf_counter() - begun)
        statuses[status] += 1
        if closes:
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def _answer(connection: socket.socket) -> tuple[int, bool]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the server hung up")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    lowered = head.lower()
    status = int(head[9:12])
    if b"content-length:" in lowered:
        length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(rest) < length and status != 304:
            rest += connection.recv(65536)
    elif b"transfer-encoding: chunked" in lowered:
        while not rest.endswith(b"0\r\n\r\n"):
            rest += connection.recv(65536)
    return status, b"connection: close" in lowered

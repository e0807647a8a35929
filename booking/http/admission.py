"""Admission: when more ask than can be answered in time, the rest get a place in line and not a server that gives way.

How long a request has waited is asked of its socket, so that it counts what stood before the door too. As long as that
is short, nothing else happens. Once requests wait too long, each one that comes is given a turn, one after another as
fast as this process answered in the last seconds, and is told when to come again. Turns go by who came first; whoever
comes at theirs is let in before all that come new. A turn is signed and known to every process and node; nothing about
it is kept anywhere. Each process has a line of its own.
"""

import hashlib
import math
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, g, request, session
from itsdangerous import BadSignature, URLSafeSerializer

HEADER = "Queue-Ticket"
COOKIE = "yiqi-turn"

BUSY = 4
"""With fewer at work than this nobody is sent away, however long they waited: the server itself was asleep."""

GRACE = 90.0
"""Seconds from a turn on in which its owner is let in, to do what they came for."""

LEAST_STEP, MOST_STEP = 0.005, 1.0
"""Seconds from one turn to the next."""

SPARED = frozenset(
    {
        *("static", "styles", "scripts", "web.manifest", "web.worker", "web.offline", "web.network_logo"),
        *("web.alive", "web.fit", "web.counts", "web.sign_out"),
        *(
            "web.new_closure",
            "web.make_closure",
            "web.lift_closure",
            "web.close_quietly",
            "api-facilities.close",
            "api-facilities.close_quietly",
        ),
        *(
            "web.confirm_fault",
            "web.mend_fault",
            "api-faults.report",
            "api-faults.confirm",
            "api-faults.mend",
        ),
    }
)
"""What never stands in line: what a page is drawn with, how the server does, leaving it, and what breaks."""

_LAST_DATA_RECEIVED = 52
"""Where Linux's `struct tcp_info` says how many milliseconds ago the last data came."""


@dataclass(frozen=True, slots=True)
class Turn:
    """When somebody may come, in seconds since 1970, and how far turns lie apart."""

    at: float
    step: float

    def place(self, now: float) -> int:
        """Give how many turns there are until this one is over."""
        return max(1, math.ceil((self.at - now) / self.step))

    def seconds(self, now: float) -> int:
        """Give in how many whole seconds it has come."""
        return max(1, math.ceil(self.at - now))


class InLine(Exception):
    """Somebody has to come again at their turn."""

    def __init__(self, turn: Turn, ticket: str, now: float) -> None:
        """Remember the turn as its owner is told of it."""
        super().__init__(f"in line, {turn.place(now)} ahead")
        self.ticket = ticket
        self.place = turn.place(now)
        self.seconds = turn.seconds(now)


class Line:
    """The line of one process; without anybody in it, it is two numbers and a lock."""

    def __init__(self, patience: float) -> None:
        """Let nobody wait longer than so many seconds."""
        self._patience = patience
        self._lock = threading.Lock()
        self._inside = 0
        self._left: deque[float] = deque(maxlen=20_000)
        self._last = 0.0
        self._step = MOST_STEP

    @property
    def crowded(self) -> bool:
        """Tell whether several are at work at this moment."""
        return self._inside >= BUSY

    def come_in(self) -> None:
        """Count one more at work."""
        with self._lock:
            self._inside += 1

    def leave(self, now: float) -> None:
        """Count one as answered."""
        with self._lock:
            self._inside -= 1
            self._left.append(now)

    def turn(self, waited: float, now: float) -> Turn | None:
        """Give a turn to who waited too long, or came while others have theirs still before them; None is at once."""
        with self._lock:
            late = waited > self._patience and self._inside >= BUSY
            if not late and self._last <= now:
                return None
            if late:
                self._step = self._pace(now)
            self._last = max(self._last, now) + self._step
            return Turn(self._last, self._step)

    def _pace(self, now: float) -> float:
        answered = sum(1 for left in self._left if left > now - self._patience)
        return min(max(self._patience / max(answered, 1), LEAST_STEP), MOST_STEP)


def init(app: Flask, *, patience: float) -> None:
    """Let nobody wait longer than so many seconds for an answer; 0 lets all wait as long as it takes."""
    line = Line(patience or math.inf)
    app.extensions["yiqi-line"] = line

    def _admit() -> None:
        if request.endpoint in SPARED:
            return
        now = time.time()
        if not _has_come(now):
            turn = line.turn(_waited(request.environ.get("gunicorn.socket")), now)
            if turn is not None:
                _send_away(turn, now)
        line.come_in()
        g.let_in = True

    def _leave(_error: BaseException | None) -> None:
        if g.pop("let_in", False):
            line.leave(time.time())

    app.before_request(_admit)
    app.teardown_request(_leave)


def crowded() -> bool:
    """Tell whether so many are at work that what one of them finds out is worth keeping for the others."""
    line: Line = current_app.extensions["yiqi-line"]
    return line.crowded


def keep_place(response: Response, ticket: str, seconds: int) -> None:
    """Let a browser show its ticket when it comes again."""
    response.set_cookie(
        COOKIE,
        ticket,
        max_age=seconds + int(GRACE),
        httponly=True,
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )


def _has_come(now: float) -> bool:
    """Tell whether the request shows a turn that has come; who comes before theirs keeps it."""
    ticket = request.headers.get(HEADER) or request.cookies.get(COOKIE)
    if not ticket:
        return False
    try:
        at, step, whose = _signer().loads(ticket)
    except (BadSignature, ValueError, TypeError):
        return False
    if whose != _whose() or now > at + GRACE:
        return False
    if now < at - 0.5:  # clocks of two nodes, and of who counted the seconds, never quite agree
        raise InLine(Turn(at, step), ticket, now)
    return True


def _send_away(turn: Turn, now: float) -> None:
    ticket = _signer().dumps([round(turn.at, 3), round(turn.step, 4), _whose()])
    raise InLine(turn, str(ticket), now)


def _signer() -> URLSafeSerializer:
    keys = [*reversed(current_app.config["SECRET_KEY_FALLBACKS"]), current_app.config["SECRET_KEY"]]
    return URLSafeSerializer(keys, salt="yiqi-turn")


def _whose() -> str:
    """Give a short name of who asks, so that a ticket is of no use to others; nothing is read for it."""
    known = request.headers.get("Authorization") or session.get("_user_id") or request.remote_addr or ""
    return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _waited(door: Any) -> float:
    """Give how many seconds ago the last of the request arrived, 0 where the system does not tell."""
    if door is None or sys.platform != "linux":
        return 0.0
    try:
        told = door.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED + 4)
    except OSError:  # not TCP, as behind a proxy on the same machine
        return 0.0
    return int.from_bytes(told[_LAST_DATA_RECEIVED:], sys.byteorder) / 1000

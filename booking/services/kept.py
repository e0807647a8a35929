"""What hardly ever changes, kept in the process under the stamp that the database gives its state (`models/stamp.py`).

A command that comes first in its transaction begins with what the process knows of the newest state that it met, and
asks for the stamp with the statement that reads the ledger once its instruments are locked: what it used is then known
to hold, or it reads all of it anew. What it had to read itself is kept for others only if the stamp was the same before
and after. The cache is never asked outside of `held`, and never in a transaction that has changed something of it.
"""

import threading
from collections import ChainMap, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import stamp

MOST_STATES = 4
MOST_OF_A_SORT = 2000
"""So many instruments are known; the province has more, but no process books on all of them in an hour."""

_P = ParamSpec("_P")
_R = TypeVar("_R")
_HELD, _MINE, _TRUSTED = "yiqi.kept", "yiqi.kept.mine", "yiqi.kept.trusted"
_STAMP = select(stamp.current())


class Outdated(Exception):
    """Something was taken to be as it was kept, and is not any more; the command may be given again."""


@dataclass(slots=True)
class _State:
    """What is known of one state of the database, by sort and key."""

    stamp: int
    tables: dict[str, dict[Any, Any]] = field(default_factory=dict)

    def table(self, sort: str) -> dict[Any, Any]:
        return self.tables.setdefault(sort, {})


@dataclass(slots=True)
class _Held:
    """A state that a command rests on, and what it has read of it itself."""

    state: _State
    read: dict[str, dict[Any, Any]] = field(default_factory=dict)
    tables: dict[str, ChainMap[Any, Any]] = field(default_factory=dict)


class _Process:
    """The states that this process met lately, the newest last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: OrderedDict[int, _State] = OrderedDict()
        self.newest: _State | None = None

    def state(self, of: int) -> _State:
        with self._lock:
            found = self._states.setdefault(of, _State(of))
            self._states.move_to_end(of)
            if len(self._states) > MOST_STATES:
                self._states.popitem(last=False)
            self.newest = found
            return found

    def keep(self, state: _State, read: Mapping[str, Mapping[Any, Any]]) -> None:
        with self._lock:
            for sort, found in read.items():
                table = state.table(sort)
                if len(table) + len(found) > MOST_OF_A_SORT:
                    table = state.tables[sort] = {}
                table.update(found)


_process = _Process()


def during(command: Callable[Concatenate[Session, _P], _R]) -> Callable[Concatenate[Session, _P], _R]:
    """Let a command rest on what is kept; it asks `holds` before it does anything that counts."""

    @wraps(command)
    def run(session: Session, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with held(session):
            return command(session, *args, **kwargs)

    return cast("Callable[Concatenate[Session, _P], _R]", run)


@contextmanager
def held(session: Session) -> Iterator[None]:
    """Let what is read within come from what is kept, where the command asks `holds` about the stamp."""
    before: _Held | None = session.info.get(_HELD)
    if before is not None or session.info.get(_MINE) is session.get_transaction() is not None:
        yield
        return
    # What has begun may have changed something already: then it asks first.
    state = _process.newest if session.get_transaction() is None else None
    if state is None:
        found = stamp_of(session)
        if found is None:
            session.info[_MINE] = session.get_transaction()
            yield
            return
        state = _process.state(found)
    session.info[_HELD] = _Held(state)
    try:
        yield
        _keep_what_was_read(session)
    finally:
        session.info.pop(_HELD, None)
        session.info.pop(_TRUSTED, None)


def _keep_what_was_read(session: Session) -> None:
    known: _Held | None = session.info.get(_HELD)
    if known is not None and any(known.read.values()) and stamp_of(session) == known.state.stamp:
        _process.keep(known.state, known.read)


def table(session: Session, sort: str) -> ChainMap[Any, Any] | None:
    """Give what is known of a sort, to read and to add to; None outside of `held`."""
    known: _Held | None = session.info.get(_HELD)
    if known is None:
        return None
    found = known.tables.get(sort)
    if found is None:
        found = ChainMap(known.read.setdefault(sort, {}), known.state.table(sort))
        known.tables[sort] = found
    return found


def stamp_of(session: Session) -> int | None:
    """Read the stamp, for commands that read nothing with which it could come."""
    found: int | None = session.scalar(_STAMP)
    return found


def holds(session: Session, found: int | None) -> bool:
    """Tell whether what was used is what the stamp says that it is; if not, all is read anew from now on.

    :raises Outdated: if a code was taken for that of an instrument, and may be another's now
    """
    if session.info.get(_TRUSTED, found) != found:
        _process.newest = None
        raise Outdated
    known: _Held | None = session.info.get(_HELD)
    if known is None or known.state.stamp == found:
        return True
    if found is None:
        session.info[_MINE] = session.get_transaction()
        del session.info[_HELD]
    else:
        session.info[_HELD] = _Held(_process.state(found))
    return False


def ids_of(session: Session, codes: Sequence[str]) -> dict[str, int] | None:
    """Give the ids of codes as they were when last met, if all are known; the command that uses them is `held`."""
    state = _process.newest
    if state is None:
        return None
    known = state.table("codes")
    if not all(code in known for code in codes):
        return None
    session.info[_TRUSTED] = state.stamp
    return {code: known[code] for code in codes}


def note_codes(session: Session, ids: Mapping[str, int]) -> None:
    """Keep whose codes these are, of instruments that the command has locked or read."""
    known = table(session, "codes")
    if known is not None:
        known.update({code: place for code, place in ids.items() if known.get(code) != place})

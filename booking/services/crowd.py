"""A crowd that wants the same: what one of them was told is worked out once for all, while the calendar stays the same.

Kept for five seconds, in the process, and only where the revisions of all instruments that it rests on are still those
with which it was read: a revision is one more with each change of its calendar, and is read before the calendar is.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Instrument

LIVES = timedelta(seconds=5)
MOST = 512

_Found = TypeVar("_Found")


@dataclass(slots=True)
class _Kept(Generic[_Found]):
    """What was found, when, and the revisions on which it rests."""

    found: _Found
    at: datetime
    revisions: Mapping[int, int]


@dataclass(slots=True)
class _Place:
    """Where one question's answer is kept; whoever works it out holds the lock, so that nobody else does."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: _Kept[Any] | None = None


class Crowd:
    """What was found out within the last seconds in this process."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._places: OrderedDict[Hashable, _Place] = OrderedDict()

    def once(
        self,
        session: Session,
        key: Hashable,
        now: datetime,
        read: Callable[[], tuple[_Found, Mapping[int, Instrument]]],
    ) -> _Found:
        """Give what is known of a question, or work it out, once for all who ask meanwhile.

        `read` gives what it found with the instruments it rests on, as it read them before their calendars.
        """
        place = self._place(key)
        with place.lock:
            known = place.kept
            if known is None or not _holds(session, known, now):
                found, rows = read()
                known = place.kept = _Kept(found, now, {row.id: row.revision for row in rows.values()})
            found_before: _Found = known.found
            return found_before

    def known(self, session: Session, key: Hashable, now: datetime) -> Any:
        """Give what is known of a question, None if nobody asked it lately or the calendar has changed since."""
        with self._lock:
            place = self._places.get(key)
        kept = place.kept if place else None
        return kept.found if kept is not None and _holds(session, kept, now) else None

    def peek(self, key: Hashable) -> Any:
        """Give what was last found of a question, however long ago, None if it is not known any more."""
        with self._lock:
            place = self._places.get(key)
        return place.kept.found if place and place.kept else None

    def put(self, key: Hashable, found: object, now: datetime) -> None:
        """Keep what rests on no calendar."""
        self._place(key).kept = _Kept(found, now, {})

    def _place(self, key: Hashable) -> _Place:
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            if len(self._places) > MOST:
                self._places.popitem(last=False)
            return place


def _holds(session: Session, kept: _Kept[Any], now: datetime) -> bool:
    if not timedelta(0) <= now - kept.at <= LIVES:
        return False
    query = select(Instrument.id, Instrument.revision).where(Instrument.id.in_(kept.revisions))
    return {row.id: row.revision for row in session.execute(query)} == kept.revisions

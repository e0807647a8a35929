"""Prospects: whether each of many people could book time on one instrument, by what is read once for all of them.

Nothing is locked and nothing is told but yes or no: who is chosen asks again under the lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, NotFound
from booking.domain.occupation import Claim, Item
from booking.domain.rules import refusals
from booking.domain.spans import Load, Span
from booking.services import acting, availability, bookings, gates, occupation, policies
from booking.services.gates import Look

_BUFFERS = ("setup", "cleanup")

AT_ONCE = 100
"""So many people are read in one statement: often the first of them is the one."""


class Prospects:
    """What is known of one instrument in a stretch of time, and of those who want it."""

    def __init__(
        self, session: Session, *, instrument_id: int, within: Span, people: frozenset[UUID], now: datetime
    ) -> None:
        """Read the instrument, its stations, and all that takes their time."""
        self._session = session
        self._seen = occupation.unlocked(session, [instrument_id])
        self._rows = self._seen.instruments
        around = within.padded(*[self._widest()] * 2)
        self._loads = occupation.look(session, self._rows, around, now=now).loads
        self._hours = availability.hours_of(session, self._rows.values())
        self._look = Look([within], people=people)
        self._now = now

    def _widest(self) -> timedelta:
        """Give how far set-up or clean-up may reach beyond a use."""
        rows = self._rows.values()
        rules = policies.rules_for(self._session, rows)
        said = [rule.value for row in rows for rule in rules[row.id] if rule.name in _BUFFERS]
        said += [policies.sheet_of(row)[name] for row in rows for name in _BUFFERS]
        return timedelta(minutes=max((minutes or 0 for minutes in said), default=0))

    def could_book(
        self, person: Actor, item: Item, project_id: UUID | None, *, at_once: bool = False
    ) -> bool:
        """Tell whether every rule and gate lets somebody have the time."""
        session, now = self._session, self._now
        try:
            bookings.require_visible(person, [self._rows[item.instrument_id]])
            wish = bookings.wish_for(session, person, None, [item], self._rows, project_id, now)
        except (NotFound, Forbidden):
            return False
        timetables = policies.timetables(session, self._rows.values(), person_id=person.person_id)
        claims = occupation.claims([item], self._rows, self._seen.parts, timetables)
        facts = availability.facts(
            session, self._rows.values(), self._near(claims), timetables=timetables, hours=self._hours
        )
        if bookings.standing(refusals([item], claims, facts, now), at_once):
            return False
        return not gates.reasons(session, replace(wish, look=self._look))

    def _near(self, claims: Sequence[Claim]) -> dict[int, tuple[Load, ...]]:
        start, end = min(one.span.start for one in claims), max(one.span.end for one in claims)
        return {
            place: tuple(load for load in loads if load.start < end and start < load.end)
            for place, loads in self._loads.items()
        }


class People:
    """Who somebody is and what they may do, read for several at a time."""

    def __init__(self, session: Session, ids: Iterable[UUID]) -> None:
        """Keep who may be asked for, in the order in which they will be."""
        self._session = session
        self._left = list(dict.fromkeys(ids))
        self._known: dict[UUID, Actor | None] = {}

    def get(self, person_id: UUID) -> Actor | None:
        """Give somebody, None if they may not sign in."""
        while person_id not in self._known:
            some, self._left = self._left[:AT_ONCE], self._left[AT_ONCE:]
            found = acting.actors_of(self._session, some)
            self._known |= {one: found.get(one) for one in some}
        return self._known[person_id]

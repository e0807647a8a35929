"""Gates: what may stand against a wish for time besides the instrument's own rules and the ledger."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain.chemicals import Substance
from booking.domain.occupation import Item
from booking.domain.rules import Reason
from booking.domain.spans import Span
from booking.services import (
    approval_steps,
    credit,
    permit_needs,
    processes,
    qualification_needs,
    quotas,
)
from models import Instrument

_Read = TypeVar("_Read")


@dataclass(slots=True)
class Look:
    """A look at many wishes of one command before any is written: all their spans, and what gates read for them.

    Where they are of many people, `people` are all of them, of whom a gate may read at once what it wants of one.
    """

    spans: Sequence[Span]
    known: dict[Hashable, Any] = field(default_factory=dict)
    people: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants what: the person the time is for, whom they book for, and the booking that is being changed.

    `beside` are wishes of the same command that will be bookings of their own, such as the earlier dates of a series
    that is only looked at; they are not in the database, and limits over several bookings count them. `chemicals`
    None are those that the booking declared before. `held` are the holds that become this wish's. `barred` tells
    whether the person is banned anywhere, None if nobody asked.
    """

    person_id: UUID
    organisation_id: int | None
    project_id: UUID | None
    items: Sequence[Item]
    instruments: Mapping[int, Instrument]
    now: datetime
    booking_id: UUID | None = None
    beside: Sequence[Item] = ()
    look: Look | None = None

    def once(self, key: Hashable, read: Callable[[], _Read]) -> _Read:
        """Read something once for all wishes of a look, or for this one alone."""
        if self.look is None:
            return read()
        if key not in self.look.known:
            self.look.known[key] = read()
        found: _Read = self.look.known[key]
        return found

    def beside_them(self) -> frozenset[UUID]:
        """Give everybody of whom the look asks, the person among them."""
        return self.look.people if self.look and self.look.people else frozenset({self.person_id})

    chemicals: Sequence[Substance] | None = None
    held: frozenset[UUID] = frozenset()
    barred: bool | None = None


Gate = Callable[[Session, Wish], list[Reason]]

GATES: tuple[Gate, ...] = (
    qualification_needs.to_book,
    permit_needs.to_book,
    approval_steps.permits_missing,
    credit.banned,
    quotas.gate,
    processes.changeover,
    processes.lags,
    processes.shared,
)
"""All are asked, by `place`, `change` and `dry_run` alike."""


CONDITIONS: tuple[Gate, ...] = (qualification_needs.to_start,)
"""What must come true before the start of a wish that is granted; told beforehand, asked again at check-in."""

AT_CHECK_IN: tuple[Gate, ...] = (qualification_needs.to_use, permit_needs.to_use)
"""What is asked, besides the booking's own state, of those who come; the wish's `now` is the day of use."""


TIMELESS: frozenset[Gate] = frozenset({credit.banned})
"""These say the same of every time on the same instruments."""


def reasons(session: Session, wish: Wish) -> list[Reason]:
    """Give every reason of every gate that stands against the wish."""
    return [reason for gate in GATES for reason in _said(session, gate, wish)]


def _said(session: Session, gate: Gate, wish: Wish) -> list[Reason]:
    if gate not in TIMELESS:
        return gate(session, wish)
    places = frozenset(item.instrument_id for item in wish.items)
    return wish.once((gate, wish.person_id, wish.booking_id, places), lambda: gate(session, wish))


def conditions(session: Session, wish: Wish) -> list[Reason]:
    """Give what must come true before the start, or those who come are turned away."""
    return [reason for gate in CONDITIONS for reason in gate(session, wish)]


def at_check_in(session: Session, wish: Wish) -> list[Reason]:
    """Give every reason why the person may not begin now."""
    return [reason for gate in AT_CHECK_IN for reason in gate(session, wish)]

"""Offers time that came free to those who wait for it, one at a time, and ends what nobody answered."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

from booking.config import Settings
from booking.db import Session, Unavailable, reading, transaction
from booking.services import making_room, offers, turns

_log = logging.getLogger(__name__)

Halted = Callable[[], bool]


def run(settings: Settings, halted: Halted) -> None:
    """Pass on what was not answered, then offer what came free."""
    turn(settings.key(), halted, now=datetime.now(UTC))


def turn(key: str, halted: Halted, *, now: datetime) -> None:
    """Do all that is to be done by now; each offer is a transaction of its own."""
    with reading() as session:
        silent = offers.unanswered(session, now=now)
    each(silent, halted, lambda session, one: offers.pass_on(session, offer_id=one, now=now))
    with reading() as session:
        found = turns.work(session)
    hopeless: set[UUID] = set()
    for freed in found:
        if halted():
            return
        try:
            _serve(freed, key, halted, hopeless, now)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one instrument that cannot be offered must not keep the others
            _log.exception("time could not be offered", extra={"fields": {"instrument": freed.instrument_id}})


def _serve(freed: turns.Work, key: str, halted: Halted, hopeless: set[UUID], now: datetime) -> None:
    """Offer or book what came free on one instrument, until nobody in the line could have any more of it."""
    tried: set[UUID] = set()
    while not halted():
        # Looking takes long where many wait, and locks nothing; only the offer itself does.
        with reading() as session:
            choice = turns.choose(session, freed=freed, skip=tried, hopeless=hopeless, now=now)
        if choice is None:
            _make_room(freed, key, halted, now)
            with transaction() as session:
                turns.done(session, freed=freed)
            return
        tried |= {choice.entry_id, *choice.passed_over}
        with transaction() as session:
            offers.serve(session, choice=choice, key=key, now=now)


def _make_room(freed: turns.Work, key: str, halted: Halted, now: datetime) -> None:
    """Let those make room who agreed to it, for one after the other of those who wait on."""
    tried: set[UUID] = set()
    while not halted():
        with reading() as session:
            room = making_room.find(session, freed=freed, skip=tried, now=now)
        if room is None:
            return
        tried.add(room.choice.entry_id)
        with transaction() as session:
            making_room.make(session, room=room, key=key, now=now)


def each(ids: Iterable[UUID], halted: Halted, work: Callable[[Session, UUID], object]) -> None:
    """Do something to each place in the line or offer, in a transaction of its own."""
    for one in ids:
        if halted():
            return
        try:
            with transaction() as session:
                work(session, one)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one that fails must not keep the others
            _log.exception("a place in the line could not be moved on", extra={"fields": {"id": str(one)}})

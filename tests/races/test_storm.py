"""The server is killed again and again while clients book, move and cancel: nothing is lost, doubled or made up.

YIQI_STORM_KILLS sets how often it is killed; each change is tested with a few, a long run with a hundred or more.
"""

import http.client
import itertools
import os
import random
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from booking.services import invariants
from models import BookingItem, Event, Occupation, RequestKey
from tests.factories import make_facility, make_instrument
from tests.races.history import Final, Operation, Slot, faults
from tests.races.world import BASE, Answer, Call, assert_never_overbooked, at, database, people, send
from tests.servers import GunicornServer

KILLS = int(os.environ.get("YIQI_STORM_KILLS", "4"))
CLIENTS = 6
SLOTS = 10
BETWEEN_KILLS = 100
"""Answers between one kill and the next."""


class Storm:
    """Clients that note what they asked and what they were told."""

    def __init__(self, port: int, token: str, codes: list[str]) -> None:
        self.port = port
        self.token = token
        self.codes = codes
        self.history: list[Operation] = []
        self.stop = threading.Event()
        self.answered = 0
        self.more = threading.Condition()
        self.problems: list[BaseException] = []
        self._numbers = itertools.count()

    def client(self, seed: int) -> None:
        dice = random.Random(seed)
        held: dict[str, tuple[str, Slot]] = {}
        try:
            while not self.stop.is_set():
                what = dice.random()
                if held and what < 0.45:
                    self.release(dice.choice(list(held)), held)
                elif held and what < 0.6:
                    self.move(dice.choice(list(held)), held, self.some_slot(dice))
                else:
                    self.take(
                        f"{seed}-{next(self._numbers)}",
                        held,
                        self.some_slot(dice),
                        patient=dice.random() < 0.8,
                    )
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.problems.append(error)

    def some_slot(self, dice: random.Random) -> Slot:
        return dice.choice(self.codes), dice.randrange(SLOTS)

    def take(self, key: str, held: dict[str, tuple[str, Slot]], slot: Slot, *, patient: bool) -> None:
        """Book a slot; a patient client repeats its key until it knows."""
        call = Call("POST", "/bookings", span_of(slot), self.token, {"Idempotency-Key": key})
        while not self.stop.is_set():
            op = Operation("take", key, slot, 0)
            answer = self.ask(call, op)
            if answer is not None and op.outcome == "ok":
                op.booking_id = answer.body["id"]
                held[key] = op.booking_id, slot
                return
            if op.outcome == "fail" or not patient:
                return

    def release(self, key: str, held: dict[str, tuple[str, Slot]]) -> None:
        booking, slot = held.pop(key)
        while not self.stop.is_set():
            op = Operation("release", key, slot, 0)
            self.ask(Call("POST", f"/bookings/{booking}/cancellation", {}, self.token), op)
            if op.outcome != "info":
                return

    def move(self, key: str, held: dict[str, tuple[str, Slot]], to: Slot) -> None:
        booking, slot = held[key]
        if slot == to:
            return
        op = Operation("move", key, slot, 0, to=to)
        body = {"items": [span_of(to)]}
        self.ask(Call("PATCH", f"/bookings/{booking}", body, self.token, {"If-Match": "*"}), op)
        if op.outcome == "ok":
            held[key] = booking, to
        elif op.outcome == "info":
            del held[key]  # nobody knows where it is now: the end will tell

    def ask(self, call: Call, op: Operation) -> Answer | None:
        """Send once and note the outcome; who asks while the server is down waits for the next one."""
        op.invoked = time.monotonic()
        try:
            answer = send(self.port, call, timeout=30)
        except (OSError, http.client.HTTPException, ValueError):  # cut off: anything may have happened
            self.history.append(op)
            return None
        op.completed = time.monotonic()
        self.history.append(op)
        with self.more:
            self.answered += 1
            self.more.notify_all()
        if answer.status in {200, 201}:
            op.outcome = "ok"
        elif answer.status in {404, 409, 412, 422}:
            op.outcome = "fail"
            op.because = "taken" if "taken" in answer.codes else str(answer.codes)
        else:
            op.completed = float("inf")
        return answer

    def wait_for(self, answers: int) -> None:
        """Return when there are so many answers, or a client failed."""
        with self.more:
            self.more.wait_for(lambda: self.answered >= answers or self.problems, timeout=120)
        assert not self.problems, self.problems


def span_of(slot: Slot) -> dict[str, str]:
    code, number = slot
    return {"instrument_id": code, "start": at(24 + 2 * number), "end": at(25 + 2 * number)}


def end_of(url: str, ids: dict[int, str]) -> Final:
    """Read who holds each slot, and what happened to each booking."""
    with database(url) as session:
        keys = dict(session.execute(select(RequestKey.booking_id, RequestKey.key)).all())
        holders: dict[Slot, list[str]] = defaultdict(list)
        for place, start, booking in session.execute(
            select(Occupation.instrument_id, Occupation.use_starts_at, Occupation.booking_id)
        ):
            number = int((start - BASE - timedelta(hours=24)) / timedelta(hours=2))
            holders[ids[place], number].append(keys[booking])
        events: dict[str, list[str]] = defaultdict(list)
        for booking, kind in session.execute(select(Event.booking_id, Event.kind).order_by(Event.id)):
            if booking is not None:
                events[str(booking)].append(kind)
        for booking in session.scalars(select(BookingItem.booking_id).distinct()):
            events.setdefault(str(booking), [])
        return Final(holders, events)


@pytest.mark.server
def test_nothing_is_lost_doubled_or_made_up(database_url):
    with database(database_url) as session:
        token = people(session)["ada"]
        facility = make_facility(session)
        made = [make_instrument(session, facility=facility) for _ in range(3)]
        ids = {row.id: row.code for row in made}
    server = GunicornServer(database_url, workers=2, threads=4, faults_expected=True)
    with server:
        storm = Storm(server.port, token, list(ids.values()))
        threads = [threading.Thread(target=storm.client, args=(seed,)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            for kill in range(KILLS):
                storm.wait_for((kill + 1) * BETWEEN_KILLS)
                server.kill()
                server.start()
            storm.wait_for(storm.answered + BETWEEN_KILLS)
        finally:
            storm.stop.set()
            for thread in threads:
                thread.join()
    assert not storm.problems, storm.problems
    outcomes = {op.outcome for op in storm.history}
    assert outcomes >= {"ok", "fail"}
    assert len(storm.history) >= KILLS * BETWEEN_KILLS
    assert faults(storm.history, end_of(database_url, ids)) == []
    assert_never_overbooked(database_url)
    with database(database_url) as session:
        if session.get_bind().dialect.name == "sqlite":
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        assert [f for f in invariants.check(session, now=datetime.now(UTC)) if f.count] == []

"""Clients at once for the last of a shared utility, and for one route: exactly one wins."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select

from booking import db
from booking.domain.access import Actor
from booking.domain.occupation import Item, Process
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import holds
from models import Booking, Hold, Utility
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.races.world import Call, assert_never_overbooked, at, database, people, rush, statuses
from tests.servers import GunicornServer

CLIENTS = 24
pytestmark = pytest.mark.server


def test_the_last_of_a_utility(database_url):
    """Each on an instrument of its own, so that no lock of an instrument keeps them apart."""
    with database(database_url) as session:
        tokens = list(people(session).values())
        place = make_facility(session)
        session.add(Utility(facility_id=place.id, code="STEAM", name_zh="蒸汽", capacity=300))
        codes = [make_instrument(session, place).code for _ in range(CLIENTS)]
    draws = [{"utility": "STEAM", "amount": 200}]
    calls = [
        Call(
            "POST",
            "/routes/bookings",
            {
                "steps": [{"instrument_id": code, "duration": "PT1H", "draws": draws}],
                "places": [{"instrument_id": code, "start": at(9)}],
            },
            tokens[n % len(tokens)],
        )
        for n, code in enumerate(codes)
    ]
    with GunicornServer(database_url) as server:
        answers = rush(server.port, calls)
    assert statuses(answers) == {201: 1, 409: CLIENTS - 1}
    assert {code for answer in answers if answer.status == 409 for code in answer.codes} == {"utility_full"}


def test_one_route_for_all(database_url):
    """Two of its three instruments are named in another order by every second client."""
    with database(database_url) as session:
        tokens = list(people(session).values())
        place = make_facility(session)
        codes = [make_instrument(session, place).code for _ in range(3)]
    calls = []
    for n in range(CLIENTS):
        order = codes if n % 2 else codes[::-1]
        steps = [{"instrument_id": code, "duration": "PT1H", "lag_most": "PT0M"} for code in order]
        places = [{"instrument_id": code, "start": at(9 + step)} for step, code in enumerate(order)]
        body = {"steps": steps, "places": places, "after": at(0)}
        calls.append(Call("POST", "/routes/bookings", body, tokens[n % len(tokens)]))
    with GunicornServer(database_url) as server:
        answers = rush(server.port, calls)
    assert statuses(answers) == {201: 1, 409: CLIENTS - 1}
    assert_never_overbooked(database_url)
    with database(database_url) as session:
        assert session.scalar(select(func.count()).select_from(Booking)) == 1


def test_the_last_of_a_utility_is_held_by_one(app_on_both):
    """Holds of many at once, each on an instrument of its own, in a transaction of its own."""
    del app_on_both
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    span = Span(now + timedelta(days=1), now + timedelta(days=1, hours=1))
    with db.transaction() as session:
        place = make_facility(session)
        steam = Utility(facility_id=place.id, code="STEAM", name_zh="蒸汽", capacity=300)
        session.add(steam)
        session.flush()
        people = [cast.actor_of(session, make(session)) for make in (cast.ada, cast.ben, cast.cleo, cast.tam)]
        runs = [
            [
                Item(
                    make_instrument(session, place).id,
                    span,
                    process=Process(draws=((steam.id, 200),)),
                )
            ]
            for _ in people
        ]
    together = Barrier(len(people))

    def hold(who: Actor, items: list[Item]) -> list[str]:
        together.wait()
        try:
            with db.transaction() as session:
                holds.take(session, actor=who, items=items, now=now)
        except Refused as refusal:
            return [reason.code for reason in refusal.reasons]
        return []

    with ThreadPoolExecutor(len(people)) as pool:
        answers = list(pool.map(hold, people, runs))
    assert sorted(answers) == [[], ["utility_full"], ["utility_full"], ["utility_full"]]
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Hold)) == 1

"""Clients at once for the last of a shared utility, and for one route: exactly one wins."""

import pytest
from sqlalchemy import func, select

from models import Booking, Utility
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

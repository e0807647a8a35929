"""Many at once for few slots: as many win as can, all others hear what else there is, and nobody is turned away."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, update

from booking.domain.access import Role
from booking.services import invariants
from models import Booking, Category, Instrument, Membership, Person
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.races.world import (
    Answer,
    Call,
    assert_never_overbooked,
    at,
    database,
    rush,
    send,
    statuses,
    token_of,
)
from tests.servers import GunicornServer

PEOPLE = 60
SLOTS = 5
pytestmark = pytest.mark.server


def gather(url: str) -> tuple[str, list[str]]:
    """Make a line with another one like it, and people with a token each."""
    with database(url) as session:
        session.add(Category(code="99", name_zh="示例", name_en="Examples"))
        session.flush()
        facility = make_facility(session)
        code = make_instrument(session, facility=facility, category_code="99").code
        make_instrument(session, facility=facility, category_code="99", code="TWIN")
        tokens = []
        for n in range(PEOPLE):
            person = Person(
                email=f"p{n}@example.org",
                name=f"Person {n}",
                password_hash="",
                created_at=cast.JOINED,
                email_confirmed_at=cast.JOINED,
            )
            session.add(person)
            session.flush()
            university = cast.university(session).id
            session.add(Membership(person_id=person.id, role=Role.MEMBER, organisation_id=university))
            tokens.append(token_of(session, person))
        return code, tokens


def calls(code: str, tokens: list[str]) -> list[Call]:
    return [
        Call(
            "POST",
            "/bookings",
            {"instrument_id": code, "start": at(24 + n % SLOTS), "end": at(25 + n % SLOTS)},
            token,
        )
        for n, token in enumerate(tokens)
    ]


def pass_time(seconds: float) -> None:
    """Let time go by: here it is what is tested, and nothing that could be waited for happens in it."""
    threading.Event().wait(seconds)


def patient(port: int, call: Call) -> tuple[Answer, int]:
    """Come again when told to, with the ticket, until there is an answer."""
    for tries in range(20):
        answer = send(port, call)
        if answer.status != 503:
            return answer, tries
        assert answer.body["code"] == "unavailable"
        assert int(answer.headers["Retry-After"]) == answer.body["queue"]["seconds"] >= 1
        ticket = {"Queue-Ticket": answer.body["queue"]["ticket"]}
        call = Call(call.method, call.path, call.body, call.token, ticket)
        pass_time(answer.body["queue"]["seconds"])  # as a client does that is told when to come
    raise AssertionError("never let in")


def assert_settled(url: str, answers: list[Answer]) -> None:
    assert statuses(answers) == {201: SLOTS, 409: PEOPLE - SLOTS}
    for lost in (answer for answer in answers if answer.status == 409):
        assert lost.codes == ["taken"]
        whys = {one["why"] for one in lost.body["alternatives"]}
        assert "waitlist" in whys
        assert whys & {"nearest", "equal"}
    assert_never_overbooked(url)
    with database(url) as session:
        assert session.scalar(select(func.count()).select_from(Booking)) == SLOTS
        assert [one for one in invariants.check(session, now=datetime.now(UTC)) if one.count] == []


def test_as_many_win_as_there_are_slots_and_all_others_hear_what_else_there_is(database_url):
    code, tokens = gather(database_url)
    with GunicornServer(database_url, workers=2, threads=16) as server:
        answers = rush(server.port, calls(code, tokens))
    assert_settled(database_url, answers)


def test_who_would_wait_too_long_is_given_a_turn_and_served_at_it(database_url):
    code, tokens = gather(database_url)
    with GunicornServer(database_url, workers=1, threads=8, env={"YIQI_PATIENCE_SECONDS": "1"}) as server:
        met: dict[int, tuple[Answer, int]] = {}
        wishes = calls(code, tokens)

        def client(n: int) -> None:
            met[n] = patient(server.port, wishes[n])

        with database(database_url) as session:  # holds all up for a while, so that patience ends
            session.execute(update(Instrument).where(Instrument.code == code).values(units=1))
            threads = [threading.Thread(target=client, args=(n,)) for n in range(PEOPLE)]
            for thread in threads:
                thread.start()
            pass_time(3)
        for thread in threads:
            thread.join()
    assert any(tries for _, tries in met.values())
    assert_settled(database_url, [answer for answer, _ in met.values()])

"""Sixty-four clients at once, real workers, both engines: exactly as many win as can."""

import random
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.db import make_engine
from booking.domain import inventory
from booking.domain.access import SYSTEM
from booking.services import imports
from models import Booking, Instrument, Occupation
from tests.factories import make_facility, make_instrument
from tests.races.world import (
    Call,
    assert_never_overbooked,
    at,
    database,
    manager,
    people,
    rush,
    send,
    statuses,
    together,
)
from tests.servers import GunicornServer

CLIENTS = 64
pytestmark = pytest.mark.server


def booking(code: str, start: float, end: float, **more) -> dict:
    return {"instrument_id": code, "start": at(start), "end": at(end), **more}


@pytest.mark.parametrize("units", [1, 3])
def test_create(database_url, units):
    """Every span is another one, and all hold the hour from 10 to 11."""
    with database(database_url) as session:
        tokens = people(session)
        code = make_instrument(session, units=units).code
    names = list(tokens)
    calls = [
        Call(
            "POST",
            "/bookings",
            booking(code, 10 - n % 8 * 0.25, 11 + n // 8 * 0.25),
            tokens[names[n % len(names)]],
        )
        for n in range(CLIENTS)
    ]
    with GunicornServer(database_url) as server:
        answers = rush(server.port, calls)
    assert statuses(answers) == {201: units, 409: CLIENTS - units}
    for answer in answers:
        if answer.status == 409:
            assert answer.body["code"] == "refused"
            assert answer.codes == ["taken"]
            assert answer.body["alternatives"]
    assert_never_overbooked(database_url)
    with database(database_url) as session:
        assert session.scalar(select(func.count()).select_from(Occupation)) == units
        assert session.scalar(select(func.count()).select_from(Booking)) == units


def test_part_of_a_capacity(database_url):
    """Sixteen channels for clients that want one to five each: never above, and no room left that a loser wanted."""
    with database(database_url) as session:
        token = people(session)["ada"]
        code = make_instrument(session, units=16).code
    asked = [n % 5 + 1 for n in range(CLIENTS)]
    calls = [Call("POST", "/bookings", booking(code, 10, 11, quantity=q), token) for q in asked]
    with GunicornServer(database_url) as server:
        answers = rush(server.port, calls)
    won = sum(q for q, answer in zip(asked, answers, strict=True) if answer.status == 201)
    lost = [q for q, answer in zip(asked, answers, strict=True) if answer.status == 409]
    assert set(statuses(answers)) == {201, 409}
    assert won <= 16
    assert all(won + q > 16 for q in lost)
    assert_never_overbooked(database_url)


def test_move(database_url):
    """Each client holds an hour of its own and moves it onto the same one."""
    with database(database_url) as session:
        token = people(session)["ada"]
        code = make_instrument(session).code
    with GunicornServer(database_url) as server:
        own = [
            send(server.port, Call("POST", "/bookings", booking(code, 24 + 2 * n, 25 + 2 * n), token))
            for n in range(CLIENTS)
        ]
        assert statuses(own) == {201: CLIENTS}
        calls = [
            Call(
                "PATCH",
                f"/bookings/{placed.body['id']}",
                {"start": at(10 - n % 4 * 0.25), "end": at(11 + n // 16 * 0.25)},
                token,
                {"If-Match": placed.headers["ETag"]},
            )
            for n, placed in enumerate(own)
        ]
        answers = rush(server.port, calls)
    assert statuses(answers) == {200: 1, 409: CLIENTS - 1}
    assert_never_overbooked(database_url)
    with database(database_url) as session:
        assert session.scalar(select(func.count()).select_from(Occupation)) == CLIENTS


def test_approve_reject_and_withdraw(database_url):
    """One request, and everybody decides it at once: one decision counts, and the ledger agrees with it."""
    with database(database_url) as session:
        tokens = people(session)
        instrument = make_instrument(session, approval_required=True)
        tam = manager(session, instrument)
    with GunicornServer(database_url) as server:
        for turn in range(4):
            wish = booking(instrument.code, 10 + 2 * turn, 11 + 2 * turn)
            made = send(server.port, Call("POST", "/bookings", wish, tokens["ada"])).body
            assert made["state"] == "requested"
            path = f"/bookings/{made['id']}"
            kinds = [
                Call("POST", f"{path}/approvals", {"decision": "approve"}, tam),
                Call("POST", f"{path}/approvals", {"decision": "reject"}, tokens["root"]),
            ]
            answers = rush(server.port, kinds * (CLIENTS // 8))
            assert statuses(answers)[409] == len(answers) - 1, statuses(answers)
            state = send(server.port, Call("GET", path, token=tokens["ada"])).body["state"]
            with database(database_url) as session:
                held = session.scalar(
                    select(func.count())
                    .select_from(Occupation)
                    .where(Occupation.use_starts_at == datetime.fromisoformat(wish["start"]))
                )
            assert (state, held) in {("confirmed", 1), ("rejected", 0)}
    assert_never_overbooked(database_url)


def test_approval_against_rivals(database_url):
    """A request that is being rejected while sixty want its time: at most one gets it, and never both."""
    with database(database_url) as session:
        tokens = people(session)
        instrument = make_instrument(session, approval_required=True)
        tam = manager(session, instrument)
    wish = booking(instrument.code, 10, 11)
    with GunicornServer(database_url) as server:
        made = send(server.port, Call("POST", "/bookings", wish, tokens["ada"])).body
        reject = Call("POST", f"/bookings/{made['id']}/approvals", {"decision": "reject"}, tam)
        rivals = [Call("POST", "/bookings", wish, tokens["cleo"])] * (CLIENTS - 4)
        answers = rush(server.port, [reject, *rivals])
    assert answers[0].status in {200, 201}
    assert statuses(answers[1:])[201] <= 1
    assert set(statuses(answers[1:])) <= {201, 409}
    assert_never_overbooked(database_url)


def test_several_instruments_asked_for_in_every_order(database_url):
    """Locks are taken in one order whatever order is asked for: no deadlock, and all or nothing."""
    with database(database_url) as session:
        token = people(session)["ada"]
        facility = make_facility(session)
        codes = [make_instrument(session, facility=facility).code for _ in range(4)]
    dice = random.Random(7)
    calls = []
    for n in range(CLIENTS):
        chosen = dice.sample(codes, 3)
        items = [booking(code, 10 + n % 3 * 0.25, 11 + n % 3 * 0.25) for code in chosen]
        calls.append(Call("POST", "/bookings", {"items": items}, token))
    with GunicornServer(database_url) as server:
        answers = rush(server.port, calls)
    assert statuses(answers) == {201: 1, 409: CLIENTS - 1}
    with database(database_url) as session:
        assert session.scalar(select(func.count()).select_from(Occupation)) == 3
    assert_never_overbooked(database_url)


def test_one_idempotency_key(database_url):
    """One client whose request is sent again and again: one booking, and every answer names it."""
    with database(database_url) as session:
        token = people(session)["ada"]
        code = make_instrument(session, units=CLIENTS).code
    call = Call("POST", "/bookings", booking(code, 10, 11), token, {"Idempotency-Key": "once"})
    with GunicornServer(database_url) as server:
        answers = rush(server.port, [call] * CLIENTS)
    assert statuses(answers) == {201: CLIENTS}
    assert len({answer.body["id"] for answer in answers}) == 1
    with database(database_url) as session:
        assert session.scalar(select(func.count()).select_from(Booking)) == 1


def test_import_that_lowers_the_units(database_url):
    """An import takes units away while they are being booked: either it is refused or the bookings are."""
    with database(database_url) as session:
        token = people(session)["ada"]
        row = make_instrument(session, units=3)
        code, facility = row.code, row.facility.code
    sheet = inventory.read(f"code,facility,units\n{code},{facility},1\n".encode(), "units.csv")
    written: list[bool] = []

    def lower() -> None:
        engine = make_engine(database_url)
        with Session(engine.execution_options(write=True)) as session:
            try:
                imports.apply(session, actor=SYSTEM, inventory=sheet, now=datetime.now(UTC))
                session.commit()
                written.append(True)
            except imports.Broken:
                session.rollback()
        engine.dispose()

    calls = [Call("POST", "/bookings", booking(code, 10, 11), token)] * 32
    with GunicornServer(database_url) as server:
        answers = rush(server.port, calls, *[lower] * 4)
    with database(database_url) as session:
        units = session.scalar(select(Instrument.units).where(Instrument.code == code))
    assert units == (1 if written else 3)
    assert statuses(answers)[201] == units
    assert set(statuses(answers)) == {201, 409}
    assert_never_overbooked(database_url)


def test_one_file_imported_by_many_at_once(database_url):
    """The same new instrument from eight imports: it is there once, and nobody is told of a fault."""
    with database(database_url) as session:
        known = make_instrument(session)
        facility = known.facility.code
    head = "code,facility,kind,name_zh,name_en,units"
    lines = [f"NEW-{n},{facility},device,新仪器{n},New {n},2" for n in range(20)]
    sheet = inventory.read("\n".join([head, *lines]).encode(), "new.csv")
    created: list[int] = []

    def bring() -> None:
        engine = make_engine(database_url)
        with Session(engine.execution_options(write=True)) as session:
            outcome = imports.apply(session, actor=SYSTEM, inventory=sheet, now=datetime.now(UTC))
            session.commit()
            created.append(len(outcome.created))
        engine.dispose()

    together(*[bring] * 8)
    assert sorted(created) == [0] * 7 + [20]
    with database(database_url) as session:
        assert session.scalar(select(func.count()).select_from(Instrument)) == 21

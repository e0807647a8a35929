"""What the hot paths ask of the database: counted, since each question is paid for by every request."""

from datetime import date

import pytest
from sqlalchemy import event

from booking import db
from booking.domain.policy import RuleKind
from models import Instrument, Rule
from tests.api.conftest import DAY, World, at, window


@pytest.fixture
def asked():
    """The statements since the list was last cleared, without where transactions begin."""
    found: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if not statement.startswith("BEGIN"):
            found.append(statement)

    return found, note


@pytest.fixture
def statements(world_on_both: World, asked):
    found, note = asked
    event.listen(db.engine(), "before_cursor_execute", note)
    yield found
    event.remove(db.engine(), "before_cursor_execute", note)


def order(hour: float, **more) -> dict:
    return {"instrument_id": "SEM", "start": at(hour), "end": at(hour + 1), **more}


def limit(world: World) -> None:
    """Put limits of every sort on the instrument, none of which is reached."""
    quotas = [(party, measure, period) for party in ("person", "organisation") for measure, period in _LIMITS]
    with world.session() as session:
        place = session.query(Instrument.id).filter_by(code="SEM").scalar()
        common = {"instrument_id": place, "valid_from": date(2020, 1, 1), "created_at": DAY}
        session.add_all(
            Rule(
                **common,
                kind=RuleKind.QUOTA,
                name=f"{party}.{measure}.{period}",
                value=1000,
                data={"party": party, "measure": measure, "period": period},
            )
            for party, measure, period in quotas
        )
        settings = {"concurrent": 100, "gap": 15, "longest": 480, "notice": 60}
        session.add_all(
            Rule(**common, kind=RuleKind.SETTING, name=name, value=value, data={})
            for name, value in settings.items()
        )


_LIMITS = (("hours", "day"), ("hours", "week"), ("bookings", "week"), ("bookings", "month"))


def test_a_booking_costs_few_statements_however_many_there_are(world_on_both: World, statements: list[str]):
    world = world_on_both
    world.book(9)
    world.book(9, instrument="SEM-2")
    world.book(9, instrument="TANK")
    counts = []
    for hour in (12, 15):
        statements.clear()
        world.book(hour, hour + 1)
        counts.append(len(statements))
        for beside in range(16, 22):
            world.book(beside, beside + 0.5, instrument="SEM-2" if hour == 12 else "TANK")
    # Who asks, the lock, the look at what is taken, and what is written: on PostgreSQL in one statement, on SQLite in
    # four, which cost no journey there. What hardly ever changes is kept.
    assert counts[0] == counts[1] == (7 if db.engine().dialect.name == "sqlite" else 4)


def test_limits_add_two_statements_to_a_verdict_however_many_they_are(
    world_on_both: World, statements: list[str]
):
    world = world_on_both
    for hour in (2, 4, 6):
        world.book(hour, hour + 1, who="ben")
    counts = []
    for _ in range(2):
        for _look in range(2):  # the first reads what is kept then
            statements.clear()
            assert world.post("/bookings/dry-run", json=order(12), who="ben").json["allowed"]
        counts.append(len(statements))
        if len(counts) == 1:
            limit(world)
    assert counts[1] <= counts[0] + 2


def test_a_timeline_costs_its_reader_one_statement_besides_who_asks(
    world_on_both: World, statements: list[str]
):
    world = world_on_both
    for hour in (1, 3, 5):
        world.book(hour, hour + 1)
    for days in (1, 7, 30):
        statements.clear()
        assert world.get("/instruments/SEM/occupations", query_string=window(days)).status_code == 200
        assert len(statements) == 2
    statements.clear()
    assert world.get("/facilities/LAB/occupations", query_string=window(7), who="tam").status_code == 200
    assert len(statements) == 3  # who may see what is not published there


def test_a_search_costs_as_many_statements_however_much_is_found(world_on_both: World, statements: list[str]):
    world = world_on_both
    for words, most in (("", 8), ("sem", 7), ("仪器 microscope", 7), ("no such thing", 7)):
        statements.clear()
        assert world.get("/instruments", query_string={"q": words}).status_code == 200
        assert len(statements) <= most, "\n\n".join(statements)

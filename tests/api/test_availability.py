"""Free time, what is taken, and finding a time over the API."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, update

from booking import db
from booking.api.schemas.availability import BarOut, bar_line
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.services.taken import Taken
from models import Facility, Instrument
from tests.api.conftest import World, at, window


@pytest.fixture
def busy(world: World) -> World:
    """Ben's microscope from 9 to 11, three of four tanks from 10 to 12, confidential for Cleo."""
    world.book(9, 11, who="ben", purpose="open")
    world.book(10, 12, instrument="TANK", quantity=3, who="cleo", purpose="canary", confidential=True)
    return world


def test_free_time_leaves_out_what_is_taken(busy: World):
    answer = busy.get("/instruments/SEM/free", query_string=window(), who=None)
    assert answer.json == {
        "spans": [
            {"start": at(0), "end": at(9), "free": 1},
            {"start": at(11), "end": at(24), "free": 1},
        ]
    }


def test_free_time_tells_how_many_units_are_left(busy: World):
    spans = busy.get("/instruments/TANK/free", query_string=window()).json["spans"]
    assert {span["free"] for span in spans} == {1, 4}
    assert all(set(span) == {"start", "end", "free"} for span in spans)


def test_what_is_free_can_be_booked(busy: World):
    for span in busy.get("/instruments/SEM/free", query_string=window()).json["spans"]:
        wish = {"instrument_id": "SEM", "start": span["start"], "end": span["end"]}
        assert busy.post("/bookings", json=wish, who="cleo").status_code == 201
    assert busy.get("/instruments/SEM/free", query_string=window()).json == {"spans": []}


def test_a_timeline_tells_who_and_why_only_to_the_entitled(busy: World):
    url = "/instruments/TANK/occupations"
    for who, seen, mine in (
        ("cleo", True, True),
        ("tam", True, False),
        ("root", True, False),
        ("ada", False, False),
        ("ben", False, False),
        ("nora", False, False),
        (None, False, False),
    ):
        answer = busy.get(url, query_string=window(), who=who)
        (bar,) = answer.json["occupations"]
        assert (bar["start"], bar["end"]) == (at(9.75), at(12.25))
        assert (bar["use_start"], bar["use_end"]) == (at(10), at(12))
        assert (bar["instrument_id"], bar["quantity"], bar["kind"]) == ("TANK", 3, "booking")
        assert bar["mine"] is mine, who
        assert (bar["title"] is not None, bar["booking_id"] is not None, bar["state"] is not None) == (
            seen,
        ) * 3, who
        assert ("canary" in answer.text) is seen, who


def test_a_facilitys_timeline_holds_all_its_instruments(busy: World):
    bars = busy.get("/facilities/LAB/occupations", query_string=window(), who="tam").json["occupations"]
    assert {bar["instrument_id"] for bar in bars} == {"SEM", "TANK"}
    assert busy.get("/facilities/YARD/occupations", query_string=window()).json == {"occupations": []}
    assert busy.get("/facilities/NONE/occupations", query_string=window()).status_code == 404


def test_hidden_instruments_show_nothing(world: World):
    world.book(instrument="TANK")
    with world.session() as session:
        session.execute(update(Instrument).where(Instrument.code == "TANK").values(published=False))
    for path in ("/instruments/TANK/free", "/instruments/TANK/occupations"):
        assert world.get(path, query_string=window()).status_code == 404
        assert world.get(path, query_string=window(), who="tam").status_code == 200
    assert world.get("/facilities/LAB/occupations", query_string=window()).json == {"occupations": []}


def test_the_earliest_time_comes_first(busy: World):
    query = window() | {"duration": "PT2H", "from": at(9), "q": "microscope"}
    offers = busy.get("/free", query_string=query).json["offers"]
    assert [(one["instrument_id"], one["start"], one["end"]) for one in offers] == [
        ("SEM-2", at(9), at(11)),
        ("SEM", at(11), at(13)),
    ]
    assert [one["estimate"] for one in offers] == [None, {"total": "1200.00", "currency": "CNY"}]
    assert all(set(one) == {"instrument_id", "start", "end", "estimate"} for one in offers)


def test_near_a_facility_it_is_told_how_far(world: World):
    with world.session() as session:
        for place in session.query(Facility):
            place.latitude, place.longitude = (22.9, 113.9) if place.code == "YARD" else (23.35, 113.9)
    query = window() | {"duration": "PT1H", "near": "YARD"}
    offers = world.get("/free", query_string=query).json["offers"]
    assert {one["km"] for one in offers} == {0.0, 50.0}
    found = world.get("/instruments", query_string={"near": "YARD", "within_km": "30"}).json
    assert found["km"] == {"YARD": 0.0}
    assert world.get("/instruments", query_string={"near": "NOWHERE"}).json["errors"] == {"near": "unknown"}
    assert world.get("/free", query_string=query | {"within_km": "x"}).status_code == 422


def test_what_is_offered_can_be_booked(busy: World):
    query = window() | {"duration": "PT3H", "from": at(9), "quantity": "2"}
    offers = busy.get("/free", query_string=query).json["offers"]
    assert [one["instrument_id"] for one in offers] == ["TANK"]
    wish = {name: offers[0][name] for name in ("instrument_id", "start", "end")}
    assert busy.post("/bookings", json=wish | {"quantity": 2}, who="ben").status_code == 201


def test_offers_are_limited_and_filtered(busy: World):
    query = window() | {"duration": "PT1H"}
    assert len(busy.get("/free", query_string=query | {"limit": "2"}).json["offers"]) == 2
    yard = busy.get("/free", query_string=query | {"facility": "YARD"}).json["offers"]
    assert [one["instrument_id"] for one in yard] == ["OVEN"]
    assert busy.get("/free", query_string=query | {"kind": "space"}).json == {"offers": []}


def test_offers_are_sorted_and_narrowed_as_on_the_page(busy: World):
    query = window() | {"duration": "PT1H"}

    def found(**more: str) -> list[str]:
        answer = busy.get("/free", query_string=query | more)
        assert answer.status_code == 200, answer.json
        return [one["instrument_id"] for one in answer.json["offers"]]

    every = set(found())
    assert found(sort="price")[0] == "SEM"
    assert found(ceiling="700") == ["SEM"]
    assert set(found(terms="instant")) < every
    assert set(found(facility="LAB,YARD")) == every
    assert set(found(part="night")) == every
    for wrong in (
        {"sort": "size"},
        {"sort": "nearest"},
        {"part": "noon"},
        {"terms": "cheap"},
        {"ceiling": "x"},
    ):
        assert busy.get("/free", query_string=query | wrong).status_code == 422


def test_a_timeline_costs_one_statement(busy: World):
    for n in range(12, 20):
        busy.book(n, n + 1)
    assert _statements(busy, "/instruments/SEM/occupations") == 1
    assert _statements(busy, "/facilities/LAB/occupations") == 1


_TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - as databases keep them
_WORDS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    st.lists(_TIMES, min_size=4, max_size=4),
    st.tuples(st.sampled_from(list(Kind)), st.none() | st.uuids(), st.none() | st.sampled_from(list(State))),
    st.tuples(_WORDS, st.text(st.characters(min_codepoint=33), min_size=1), st.integers(1, 10**6)),
    st.booleans(),
)
def test_rows_are_written_as_their_schema_says(times, sorts, words, mine):
    kind, booking_id, state = sorts
    title, code, quantity = words
    key = str(booking_id) if booking_id else None
    one = Taken(code, *map(str, times), quantity, kind.value, key, title, state and state.value, mine)
    start, end, use_start, use_end = (at.replace(tzinfo=UTC) for at in times)
    told = BarOut().dump(
        {
            "instrument_id": code,
            "start": start,
            "end": end,
            "use_start": use_start,
            "use_end": use_end,
            "quantity": quantity,
            "kind": kind,
            "booking_id": booking_id,
            "title": title,
            "state": state,
            "mine": mine,
        }
    )
    assert json.loads(bar_line(one)) == told


def _statements(world: World, path: str) -> int:
    """How many statements a visitor's question costs, who is known without one."""
    found: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if not statement.startswith("BEGIN"):
            found.append(statement)

    event.listen(db.engine(), "before_cursor_execute", note)
    try:
        assert world.get(path, query_string=window(), who=None).status_code == 200
    finally:
        event.remove(db.engine(), "before_cursor_execute", note)
    return len(found)


def test_free_time_costs_few_statements_however_much_is_taken(busy: World):
    before = _statements(busy, "/instruments/SEM/free")
    for n in range(12, 20):
        busy.book(n, n + 1)
    assert _statements(busy, "/instruments/SEM/free") == before
    assert before <= 7

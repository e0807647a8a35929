"""What is near: the order and the limit of a search, on both engines."""

from datetime import UTC, datetime, timedelta

import pytest

from booking.domain.access import VISITOR, Actor
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import catalogue, distances, finder
from booking.services.catalogue import Filters
from booking.services.finder import Question
from tests.factories import make_facility, make_instrument
from tests.services.test_availability import Statements

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
def places(session):
    """Four facilities: one to ask from, one 10 km north, one 50 km north, and one that is nobody knows where."""
    made = {}
    for code, latitude in (("HERE", 22.9), ("NEAR", 22.99), ("FAR", 23.35), ("WHERE", None)):
        facility = make_facility(
            session, code=code, latitude=latitude, longitude=None if latitude is None else 113.9
        )
        make_instrument(session, facility, code=f"{'ABCD'[3 - len(made)]}-{code}", name_en="Dryer")
        made[code] = facility
    return made


def found(session, **filters) -> list[str]:
    page = catalogue.search(session, actor=VISITOR, filters=Filters(**filters), locale="en")
    return [row.code for row in page.items]


def test_the_nearest_come_first_and_the_unknown_last(session, places):
    assert found(session) == ["A-WHERE", "B-FAR", "C-NEAR", "D-HERE"]
    assert found(session, near="HERE") == ["D-HERE", "C-NEAR", "B-FAR", "A-WHERE"]
    assert found(session, near="FAR", q="dryer") == ["B-FAR", "C-NEAR", "D-HERE", "A-WHERE"]
    page = catalogue.search(session, actor=VISITOR, filters=Filters(near="HERE"))
    assert {page.km.get(places[code].id) for code in places} == {0.0, 10.0, 50.0, None}


def test_what_is_too_far_is_not_found_and_not_counted(session, places):
    assert found(session, near="HERE", within_km="30") == ["D-HERE", "C-NEAR"]
    page = catalogue.search(session, actor=VISITOR, filters=Filters(near="HERE", within_km="30"))
    assert page.total == 2
    assert {facet.key: facet.count for facet in page.facets["facility"]} == {"HERE": 1, "NEAR": 1}
    assert found(session, near="WHERE", within_km="30") == ["A-WHERE"]
    offers = finder.find(
        session,
        actor=VISITOR,
        question=Question(
            duration=timedelta(hours=1),
            within=Span(NOW, NOW + timedelta(days=1)),
            filters=Filters(near="NEAR", within_km="20"),
        ),
        now=NOW,
    ).offers
    assert {offer.code: offer.km for offer in offers} == {"C-NEAR": 0.0, "D-HERE": 10.0}


def test_it_costs_one_statement_more_however_many_there_are(session, places):
    del places
    with Statements(session) as plain:
        found(session)
    with Statements(session) as near:
        found(session, near="HERE", within_km="30")
    assert near.count == plain.count + 1


@pytest.mark.parametrize(
    ("filters", "errors"),
    [
        ({"near": "NOWHERE"}, {"near": "unknown"}),
        ({"within_km": "30"}, {"near": "required"}),
        ({"near": "HERE", "within_km": "-1"}, {"within_km": "malformed"}),
        ({"near": "HERE", "within_km": "30000"}, {"within_km": "out_of_range"}),
    ],
)
def test_what_makes_no_sense(session, places, filters, errors):
    del places
    with pytest.raises(Invalid) as invalid:
        found(session, **filters)
    assert invalid.value.errors == errors


def test_ones_own_organisation_is_where_one_asks_from(session, places):
    assert distances.own(session, actor=VISITOR) == ""
    here = Actor(organisations=frozenset({places["HERE"].organisation_id}))
    assert distances.own(session, actor=here) == "HERE"
    nowhere = Actor(organisations=frozenset({places["WHERE"].organisation_id}))
    assert distances.own(session, actor=nowhere) == ""

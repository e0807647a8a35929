"""Great circles: known distances, and what must hold of any."""

from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import distances

PLACES = {
    "Guangzhou": (23.1291, 113.2644),
    "Nanning": (22.8170, 108.3665),
    "Paris": (48.8566, 2.3522),
    "London": (51.5074, -0.1278),
    "Suva": (-18.1248, 178.4501),
    "Apia": (-13.8333, -171.7667),
}


@pytest.mark.parametrize(
    ("one", "other", "km"), [("Guangzhou", "Nanning", 503), ("Paris", "London", 344), ("Suva", "Apia", 1144)]
)
def test_known_distances_also_across_the_date_line(one, other, km):
    assert distances.kilometres(PLACES[one], PLACES[other]) == pytest.approx(km, rel=0.005)


points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(points, points, points)
def test_it_is_a_distance(a, b, c):
    assert distances.kilometres(a, b) == pytest.approx(distances.kilometres(b, a), abs=1e-6)
    assert 0 <= distances.kilometres(a, b) <= pi * distances.RADIUS + 1e-6
    assert distances.kilometres(a, a) == 0
    assert distances.kilometres(a, c) <= distances.kilometres(a, b) + distances.kilometres(b, c) + 1e-3


def test_two_places_are_never_told_to_be_one_and_the_unknown_is_not_told():
    assert distances.told((22.9, 113.9), (22.9, 113.9)) == distances.SAME_PLACE
    assert distances.told(None, (22.9, 113.9)) is None

"""The first look round: who is offered which tour, its stops on real pages, and that it is offered once."""

import re

import pytest
from flask import Flask

from tests.web.lab import Lab, text_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def test_newcomers_are_offered_the_tours_of_their_roles_until_they_have_seen_one(lab):
    assert "New here?" not in lab.app.test_client().get("/").text
    assert re.findall(r'href="/tours/(\w+)"', lab.get("ben", "/").text) == ["booking"]
    assert re.findall(r'href="/tours/(\w+)"', lab.get("tam", "/").text) == ["facility", "booking"]
    assert "administration" in re.findall(r'href="/tours/(\w+)"', lab.get("root", "/").text)
    answer = lab.send("ben", "/tours/end", next="/free")
    assert answer.location == "/free"
    assert "New here?" not in lab.get("ben", "/").text
    assert "Finding and booking" in text_of(lab.get("ben", "/tours").text)


def test_a_tour_leads_from_page_to_page(lab):
    answer = lab.get("ben", "/tours/booking")
    assert answer.location == "/?tour=booking.1"
    page = lab.get("ben", answer.location).text
    assert "Tour, 1 of 7" in page
    assert 'href="/free?tour=booking.2" rel="next"' in page
    last = lab.get("ben", "/account/notices?tour=booking.7").text
    assert 'rel="next"' not in last
    assert 'rel="prev"' in last


@pytest.mark.parametrize(
    "path",
    [
        "/?tour=booking.2",
        "/?tour=booking.0",
        "/?tour=booking.99",
        "/?tour=facility.1",
        "/?tour=x",
        "/?tour=booking.²",
    ],
)
def test_what_is_no_stop_shows_the_page_alone(lab, path):
    page = lab.get("ben", path)
    assert page.status_code == 200
    assert "data-tour-stop" not in page.text


def test_nobody_begins_a_tour_that_is_not_theirs(lab):
    assert lab.get("ben", "/tours/facility").status_code == 404
    assert lab.app.test_client().get("/tours").location.startswith("/sign-in")
    assert lab.send("ben", "/tours/end", next="https://example.org/").location == "/"


def test_a_tour_leads_to_no_page_that_is_closed(lab):
    page = lab.get("ada", "/bookings?tour=group.2").text
    assert "Tour, 2 of 2" in page
    assert 'rel="next"' not in page

"""Abilities with figures as fields of forms: the address keeps them, and what is found fits them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain import needs
from booking.domain.needs import Need
from booking.i18n import use_locale
from booking.web import abilities
from booking.web.forms import Intake
from models import Capability, Facility, Instrument, WaitlistEntry, WaitlistInstrument
from tests.web.lab import Lab, at, text_of, typed


@pytest.fixture
def lab(app: Flask) -> Lab:
    made = Lab(app)
    with db.transaction() as session:
        for code, litres in (("SEM", 80), ("SEM2", 500), ("BATH", 20)):
            session.add(Capability(instrument_id=made.places[code], tag="volume_l", value=litres, unit="L"))
    return made


def test_needs_are_read_and_written_alike():
    for text in ("mixing", "volume_l>=50", "temperature_c<=250.5"):
        assert str(needs.read(text)) == text
    assert needs.read("volume_l>=50.500") == Need("volume_l", ">=", Decimal("50.5"))
    assert [needs.read(text) for text in ("", "Volume", "volume_l>50", "volume_l>=-1", "a b")] == [None] * 5
    assert (
        needs.joined(["mixing", "volume_l>=5", "volume_l<=9", "volume_l>=7"])
        == "mixing,volume_l<=9,volume_l>=7"
    )


@pytest.mark.parametrize(
    ("fields", "wanted", "errors"),
    [
        (("", "", ""), "", {}),
        (("mixing", "", ""), "mixing", {}),
        (("volume_l", "", "50"), "volume_l>=50", {}),
        (("volume_l", "most", "0,50"), "volume_l<=0.5", {}),
        (("volume_l", "most", "1e3"), "volume_l<=1000", {}),
        (("", "", "5"), "", {"ability": "required"}),
        (("volume_l>=", "", "5"), "", {"ability": "unknown"}),
        (("volume_l", "", "many"), "", {"figure": "malformed"}),
        (("volume_l", "", "-5"), "", {"figure": "malformed"}),
        (("volume_l", "", "nan"), "", {"figure": "malformed"}),
        (("volume_l", "", "99999999999"), "", {"figure": "malformed"}),
        (("volume_l", "about", "5"), "", {"limit": "unknown"}),
    ],
)
def test_three_fields_are_one_need(fields, wanted, errors):
    intake = Intake(dict(zip(abilities.FIELDS, fields, strict=True)))
    assert (abilities.read(intake), intake.errors) == (wanted, errors)


def test_a_need_is_said_in_the_readers_language():
    with use_locale("en"):
        assert abilities.words("volume_l>=1500") == "Volume at least 1,500 L"
        assert abilities.words("temperature_c<=250") == "Highest temperature at most 250 °C"
        assert abilities.words("mixing") == "Mixing"
        assert abilities.words("something else") == "something else"
        (_, measured), (_, plain) = abilities.options()
        assert ("volume_l", "Volume (L)") in measured
        assert ("mixing", "Mixing") in plain


def test_the_catalogue_takes_it_into_its_address(lab):
    asked = lab.get("ben", "/instruments", q="Micro", ability="volume_l", limit="least", figure="100")
    assert asked.status_code == 302
    where = asked.headers["Location"]
    assert where.endswith("capability=volume_l%3E%3D100")
    assert "q=Micro" in where
    page = text_of(lab.get("ben", where).text)
    assert "1 instrument" in page
    assert "Second microscope" in page
    assert "Volume at least 100 L" in page
    more = lab.get("ben", "/instruments", capability="volume_l>=100", ability="volume_l", figure="900")
    assert more.headers["Location"].endswith("capability=volume_l%3E%3D900")
    wrong = lab.get("ben", "/instruments", ability="volume_l", figure="many")
    assert wrong.status_code == 422
    assert 'id="figure-error"' in wrong.text


def test_find_a_time_asks_and_keeps_it(lab):
    page = lab.get("ben", "/free", ability="volume_l", limit="least", figure="50", minutes="60")
    assert page.status_code == 200
    assert 'name="capability" value="volume_l&gt;=50"' in page.text
    words = text_of(page.text)
    assert "Volume at least 50 L" in words
    assert "Second microscope" in words
    assert "Water bath" not in words
    # The form of a booking from here offers only what can do as much.
    assert "ability=volume_l" in page.text
    assert lab.get("ben", "/free", ability="volume_l", figure="x").status_code == 422


def test_what_would_do_instead_is_asked_in_the_booking_form(lab):
    lab.book("ada", "SEM2", at(9), at(11))
    form = {"instrument": "SEM2", "quantity": "1", "shown": "1", **typed(at(9), at(11))}
    page = text_of(lab.send("ben", "/bookings/new", check="1", **form).text)
    assert "Microscope 5" not in page  # 80 litres are less than 500
    few = {"ability": "volume_l", "limit": "least", "figure": "60"}
    page = lab.send("ben", "/bookings/new", check="1", **form, **few).text
    assert 'value="SEM 20' in page
    assert 'value="60"' in page
    wrong = lab.send("ben", "/bookings/new", check="1", **form, ability="volume_l", figure="x")
    assert 'id="figure-error"' in wrong.text


def test_a_wish_names_it_and_so_does_a_step(lab):
    days = {"first": at(0).date().isoformat(), "last": (at(0) + timedelta(days=2)).date().isoformat()}
    few = {"ability": "volume_l", "limit": "least", "figure": "50"}
    answer = lab.send("ben", "/waitlist/new", minutes="60", quantity="1", **days, **few)
    assert answer.status_code == 303
    with db.reading() as session:
        query = select(Instrument.code).join(
            WaitlistInstrument, WaitlistInstrument.instrument_id == Instrument.id
        )
        assert set(session.scalars(query)) == {"SEM", "SEM2"}
        assert session.scalars(select(WaitlistEntry.wish)).one() == "Volume at least 50 L"
    day = at(9)
    step = {
        "what-1": "c:0101",
        "ability-1": "volume_l",
        "limit-1": "least",
        "figure-1": "100",
        "hours-1": "1",
    }
    lags = {"least-1": "0", "most-1": "24"}
    start = {"start_date": day.date().isoformat(), "start_time": "09:00"}
    page = lab.send("ben", "/processes/new", facility="LAB", find="1", **step, **lags, **start)
    assert "SEM2" in page.text
    assert 'value="100"' in page.text


def test_the_nearest_come_first_where_somebody_asks(lab):
    assert "Near a place" not in lab.get("ben", "/instruments").text  # nobody knows where anything is
    with db.transaction() as session:
        for code, latitude in (("LAB", 22.9), ("FAR", 23.35)):
            place = session.get_one(Facility, lab.facilities[code])
            place.latitude, place.longitude = latitude, 113.9
    page = lab.get("ben", "/instruments", near="FAR", within_km="").text
    assert page.index("Far instrument") < page.index("Water bath")
    words = text_of(page)
    assert "right there" in words
    assert "50 km away" in words
    assert "Water bath" not in lab.get("ben", "/instruments", near="FAR", within_km="30").text
    offers = text_of(lab.get("ben", "/free", near="FAR", within_km="100").text)
    assert "50 km away" in offers
    assert lab.get("ben", "/instruments", near="FAR", within_km="x").status_code == 422

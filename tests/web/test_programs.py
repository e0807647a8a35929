"""The page that says how to have one's calendars in a CalDAV program, and tokens as its passwords."""

from datetime import UTC, datetime

from flask import Flask
from flask.testing import FlaskClient

from booking import db
from booking.domain.access import Scope
from booking.services import calendars, tokens
from models import CalendarScope
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime.now(UTC)


def signed_in(app: Flask) -> tuple[FlaskClient, str]:
    """Ada's browser; she keeps the address of a calendar of an instrument, and a token that a program used."""
    client = app.test_client()
    with db.transaction() as session:
        facility = make_facility(session, code="LAB")
        row = make_instrument(session, facility, code="SEM", name_en="Microscope")
        person = cast.ada(session)
        person.locale = "en"
        ada = cast.actor_of(session, person)
        calendars.make(
            session, actor=ada, scope=CalendarScope.INSTRUMENT, subject="SEM", locale="en", now=NOW
        )
        token, _secret = tokens.make(
            session, actor=ada, name="Phone", scopes=[Scope.READ], expires_at=None, now=NOW
        )
        tokens.note_use(session, token_id=token.id, agent="Mozilla/5.0 Thunderbird/140.1", now=NOW)
        cast.sign_in(client, session, person)
        path = f"/caldav/calendars/{person.id}/"
    return client, f"{path}instrument-{row.id}/"


def test_the_page_says_what_to_type_and_what_will_be_found(app):
    client, path = signed_in(app)
    page = client.get("/calendars/programs").text
    assert "http://127.0.0.1:8000/caldav/<" in page
    assert "ada@example.org" in page
    assert page.count("http://127.0.0.1:8000/caldav/calendars/") == 2
    assert f"http://127.0.0.1:8000{path}" in page
    assert page.count("Read, and book by drawing an event") == 1
    assert page.count("Read only") == 1
    assert 'href="/calendars/programs"' in client.get("/calendars").text


def test_the_page_of_tokens_leads_there_and_names_the_program(app):
    client, _path = signed_in(app)
    page = client.get("/account/tokens").text
    assert 'href="/calendars/programs"' in page
    assert "Thunderbird" in page

"""The page of calendar addresses: made once shown, renewed, revoked, and nobody else's."""

import re
from html import unescape
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from booking import db
from booking.i18n import use_locale
from booking.services import facilities
from booking.web.calendars import client_name
from models import CalendarLink, Person, Privacy, Project, ProjectMember
from tests import cast
from tests.factories import make_facility, make_instrument, make_network


@pytest.fixture
def app(app: Flask) -> Flask:
    with db.transaction() as session:
        facility = make_facility(session, code="LAB", name_en="Laboratory")
        make_instrument(session, facility=facility, code="SEM", name_en="Microscope <b>")
        make_instrument(session, facility=facility, code="NEW", name_en="Unpublished", published=False)
        for person in (cast.ada(session), cast.cleo(session), cast.tam(session, facility)):
            person.locale = "en"
    return app


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    with db.transaction() as session:
        person = session.scalars(select(Person).where(Person.email == f"{name}@example.org")).one()
        cast.sign_in(client, session, person)
    return client


@pytest.fixture
def ada(app: Flask) -> FlaskClient:
    return client_of(app, "ada")


def post(client: FlaskClient, path: str, data: dict[str, str] | None = None) -> TestResponse:
    """Send a form of the page, with the token that stands in it."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/calendars").text)
    return client.post(path, data={**(data or {}), "csrf_token": token[1] if token else ""})


def make(client: FlaskClient, what: str = "me", privacy: str = "full", locale: str = "en") -> TestResponse:
    return post(client, "/calendars", {"what": what, "privacy": privacy, "locale": locale})


def address_in(page: str) -> str:
    return unescape(re.search(r'id="address"[^>]* value="([^"]+)"', page)[1])


def path_of(url: str) -> str:
    return url.removeprefix("http://127.0.0.1:8000")


def ids(client: FlaskClient) -> list[str]:
    return re.findall(
        r'<h3 class="card-title"><a href="/calendars/([0-9a-f-]{36})"', client.get("/calendars").text
    )


def test_visitors_are_asked_to_sign_in(app):
    answer = app.test_client().get("/calendars")
    assert answer.status_code == 303
    assert "/sign-in" in answer.headers["Location"]


def test_the_page_says_honestly_how_often_calendars_ask(ada):
    page = ada.get("/calendars").text
    assert "No addresses yet" in page
    assert "Asks every 4 to 24 hours" in page
    assert "If you set nothing: daily or weekly" in page
    assert "at most 1000 events" in page


def test_an_address_is_shown_once_and_works(app, ada):
    answer = make(ada)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    url = address_in(answer.text)
    assert url.startswith("http://127.0.0.1:8000/calendars/")
    assert app.test_client().get(path_of(url)).status_code == 200
    # The web address stands before the one for the device's own program.
    assert answer.text.index(url) < answer.text.index(url.replace("http://", "webcal://"))
    for service in ("calendar.google.com", "outlook.office.com", "outlook.live.com"):
        assert f'href="https://{service}' in answer.text
    assert url not in ada.get("/calendars").text
    assert "My bookings" in ada.get("/calendars").text


def test_links_to_other_services_tell_them_no_more_than_they_need(ada):
    page = make(ada).text
    outward = re.findall(r'<a [^>]*href="https://[^>]+>', page)
    assert len(outward) == 3
    assert all('rel="noopener noreferrer"' in link for link in outward)


def test_the_feed_of_an_instrument_from_its_page(app, ada):
    page = ada.get("/calendars?scope=instrument&id=SEM").text
    assert '<option value="instrument:SEM" selected>' in page
    assert '<option value="free:SEM">' in page
    assert "Microscope &lt;b&gt;" in page
    url = address_in(make(ada, "instrument:SEM").text)
    assert "NAME:Microscope <b>" in app.test_client().get(path_of(url)).text
    url = address_in(make(ada, "free:SEM", locale="zh_Hans_CN").text)
    assert "SUMMARY:" in app.test_client().get(path_of(url)).text


@pytest.mark.parametrize(
    "query", ["scope=instrument&id=NEW", "scope=instrument&id=NONE", "scope=nonsense&id=1", "id=SEM"]
)
def test_what_one_may_not_see_cannot_be_chosen(ada, query):
    answer = ada.get(f"/calendars?{query}")
    assert answer.status_code == 200
    assert "Unpublished" not in answer.text
    assert answer.text.count("<option") == 3 + 3  # what is one's own, several instruments; the languages


def test_the_staff_chooses_the_facility_and_others_do_not(app, ada):
    tam = client_of(app, "tam")
    assert '<option value="facility:LAB">Laboratory' in tam.get("/calendars").text
    assert make(tam, "facility:LAB").status_code == 201
    assert "facility:LAB" not in ada.get("/calendars").text
    assert make(ada, "facility:LAB").status_code == 403


def test_a_project_is_for_its_people(app, ada):
    with db.transaction() as session:
        leader = cast.ada(session)
        project = Project(
            code="P", name="Polymers & co", organisation_id=cast.university(session).id, leader_id=leader.id
        )
        session.add(project)
        session.flush()
        session.add(ProjectMember(project_id=project.id, person_id=leader.id))
        key = project.id
    assert f'<option value="project:{key}">Polymers &amp; co' in ada.get("/calendars").text
    assert make(ada, f"project:{key}").status_code == 201
    assert make(client_of(app, "cleo"), f"project:{key}").status_code == 404


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"what": ""}, "what"),
        ({"what": "everything"}, "what"),
        ({"what": "me:SEM"}, "what"),
        ({"what": "instrument"}, "what"),
        ({"privacy": "none"}, "privacy"),
        ({"privacy": ""}, "privacy"),
        ({"locale": "xx"}, "locale"),
        ({"locale": "../../etc"}, "locale"),
    ],
)
def test_a_wish_that_makes_no_sense_is_told_at_its_field(ada, data, field):
    answer = post(ada, "/calendars", {"what": "me", "privacy": "busy", "locale": "en", **data})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert 'id="address"' not in answer.text
    assert ids(ada) == []


def test_a_field_that_nobody_asked_for_is_refused(ada):
    data = {"what": "me", "privacy": "busy", "locale": "en", "person_id": str(uuid4())}
    assert post(ada, "/calendars", data).status_code == 422


def test_a_new_address_replaces_the_old_one(app, ada):
    old = path_of(address_in(make(ada, "instrument:SEM", "busy").text))
    visitor = app.test_client()
    assert visitor.get(old).status_code == 200
    (key,) = ids(ada)
    answer = post(ada, f"/calendars/{key}/renewal")
    assert answer.status_code == 201
    new = path_of(address_in(answer.text))
    assert visitor.get(old).status_code == 410
    assert visitor.get(new).status_code == 200
    assert len(ids(ada)) == 1


def test_a_revoked_address_is_gone_at_once(app, ada):
    path = path_of(address_in(make(ada).text))
    app.test_client().get(path)
    folder = app.extensions["yiqi"].instance / "feeds"
    assert list(folder.glob("*.ics"))
    (key,) = ids(ada)
    answer = post(ada, f"/calendars/{key}/revocation")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/calendars")
    assert list(folder.glob("*.ics")) == []  # even before anybody asks again
    assert app.test_client().get(path).status_code == 410
    page = ada.get("/calendars").text
    assert "no longer works" in page
    assert "No addresses yet" in page


def test_the_addresses_of_others_do_not_exist(app, ada):
    make(ada)
    cleo = client_of(app, "cleo")
    (key,) = ids(ada)
    for act in ("renewal", "revocation"):
        assert post(cleo, f"/calendars/{key}/{act}").status_code == 404
        assert post(cleo, f"/calendars/{uuid4()}/{act}").status_code == 404
        assert post(app.test_client(), f"/calendars/{key}/{act}").status_code in {303, 400}
    assert ids(cleo) == []
    assert ids(ada) == [key]


def test_writes_want_their_token(ada):
    form = {"what": "me", "privacy": "full", "locale": "en"}
    assert ada.post("/calendars", data=form).status_code == 400
    make(ada)
    (key,) = ids(ada)
    for act in ("renewal", "revocation"):
        assert ada.post(f"/calendars/{key}/{act}").status_code == 400
    assert ids(ada) == [key]


def test_the_last_reader_is_named(app, ada):
    path = path_of(address_in(make(ada).text))
    answer = app.test_client().get(
        path, headers={"User-Agent": "Google-Calendar-Importer"}, environ_base={"REMOTE_ADDR": "192.0.2.7"}
    )
    answer.close()
    page = ada.get("/calendars").text
    assert "by Google Calendar from 192.0.2.0/24" in page


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11) Gecko/20100101 Thunderbird/153.0", "Thunderbird"),
        ("iOS/18.1 (22B83) dataaccessd/1.0", "Apple Calendar"),
        ("macOS/15.1 (24B83) CalendarAgent/1", "Apple Calendar"),
        ("Microsoft Office/16.0 (Windows NT 10.0)", "Microsoft Outlook"),
        ("<script>/1.0", "<script>"),
        ("", "A program without a name"),
    ],
)
def test_programs_are_known_by_what_they_call_themselves(agent, name):
    with use_locale("en"):
        assert client_name(agent) == name


def test_what_a_reader_calls_itself_is_only_text(app, ada):
    path = path_of(address_in(make(ada).text))
    app.test_client().get(path, headers={"User-Agent": "<script>alert(1)</script>"}).close()
    with db.reading() as session:
        assert session.scalars(select(CalendarLink.agent)).one().startswith("<script>")
    assert "<script>alert" not in ada.get("/calendars").text


def test_the_page_needs_no_script_and_no_inline_style(ada):
    page = make(ada).text
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert re.search(r"<button[^>]*data-copy[^>]* hidden>", page)


# --- choices, and the page of one address ----------------------------------------------------------


def link_of(key: str) -> CalendarLink:
    with db.reading() as session:
        return session.get_one(CalendarLink, UUID(key))


CHOSEN = {"privacy": "full", "locale": "en"}


def test_what_is_chosen_is_kept_and_stands_on_its_page(app, ada):
    wish = {"what": "me", "privacy": "busy", "locale": "zh_Hans_CN", "name": "Meine Zeit", "past_days": "3"}
    answer = post(ada, "/calendars", {**wish, "future_days": "60", "no_pending": "1", "cancelled": "1"})
    assert answer.status_code == 201
    assert "The new address: Meine Zeit" in answer.text
    (key,) = ids(ada)
    link = link_of(key)
    assert (link.name, link.past_days, link.future_days) == ("Meine Zeit", 3, 60)
    assert (link.pending, link.cancelled, link.locale) == (False, True, "zh_Hans_CN")
    page = ada.get(f"/calendars/{key}").text
    for part in ('value="Meine Zeit"', 'value="60"', "<h1>Meine Zeit</h1>", "Not read by any calendar yet"):
        assert part in page
    assert len(re.findall(r'type="checkbox"[^>]* checked', page)) == 2
    feed = app.test_client().get(path_of(address_in(answer.text))).text
    assert "NAME:Meine Zeit" in feed


def test_choices_are_changed_under_the_same_address(app, ada):
    path = path_of(address_in(make(ada).text))
    (key,) = ids(ada)
    answer = post(ada, f"/calendars/{key}", {"privacy": "busy", "locale": "en", "name": "Renamed"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/calendars")
    assert "NAME:Renamed" in app.test_client().get(path).text
    assert "Saved." in ada.get("/calendars").text


def test_to_tell_readers_more_is_asked_twice(ada):
    make(ada, privacy="busy")
    (key,) = ids(ada)
    asked = post(ada, f"/calendars/{key}", {"privacy": "full", "locale": "en", "name": "Kept"})
    assert asked.status_code == 422
    assert "Whoever has the address will read more than now" in asked.text
    assert 'name="sure"' in asked.text
    assert 'value="Kept"' in asked.text  # what was typed is not lost
    assert link_of(key).privacy is Privacy.BUSY
    assert 'name="sure"' not in ada.get(f"/calendars/{key}").text
    sure = {"privacy": "full", "locale": "en", "sure": "1"}
    assert post(ada, f"/calendars/{key}", sure).status_code == 303
    assert link_of(key).privacy is Privacy.FULL


def test_what_hurts_is_one_step_farther_than_the_page(ada):
    make(ada)
    (key,) = ids(ada)
    assert "/revocation" not in ada.get("/calendars").text
    page = ada.get(f"/calendars/{key}").text
    for act in ("renewal", "revocation"):
        assert re.search(rf'<details>(?:(?!</details>).)*action="/calendars/{key}/{act}"', page, re.DOTALL)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"past_days": "-1"}, "past_days"),
        ({"future_days": "0"}, "future_days"),
        ({"future_days": "many"}, "future_days"),
        ({"name": "x" * 101}, "name"),
        ({"privacy": "none"}, "privacy"),
    ],
)
def test_a_choice_that_makes_no_sense_is_told_at_its_field(ada, data, field):
    make(ada)
    (key,) = ids(ada)
    for path, what in (("/calendars", {"what": "me"}), (f"/calendars/{key}", {})):
        answer = post(ada, path, {**CHOSEN, **what, **data})
        assert answer.status_code == 422
        assert f'href="#{field}"' in answer.text
    assert len(ids(ada)) == 1


def test_the_choices_of_others_do_not_exist(app, ada):
    make(ada)
    (key,) = ids(ada)
    cleo = client_of(app, "cleo")
    assert cleo.get(f"/calendars/{key}").status_code == 404
    assert post(cleo, f"/calendars/{key}", CHOSEN).status_code == 404
    assert ada.post(f"/calendars/{key}", data=CHOSEN).status_code == 400  # without the page's token


def test_free_time_of_several_instruments_is_ticked_or_typed(app, ada):
    with db.transaction() as session:
        lab = facilities.by_code(session, code="LAB")
        make_instrument(session, facility=lab, code="XRD", name_en="Diffractometer")
    page = ada.get("/calendars?scope=free&id=SEM&id=XRD").text
    assert '<option value="free" selected>' in page
    assert len(re.findall(r'name="instrument" value="(?:SEM|XRD)" checked', page)) == 2
    wish = {"what": "free", "privacy": "summary", "locale": "en", "instrument": "SEM", "codes": "XRD, SEM"}
    answer = post(ada, "/calendars", wish)
    assert answer.status_code == 201
    assert "Free time of" in answer.text
    feed = app.test_client().get(path_of(address_in(answer.text))).text
    assert "Diffractometer" in feed
    (key,) = ids(ada)
    page = ada.get(f"/calendars/{key}").text
    assert len(re.findall(r'name="instrument" value="(?:SEM|XRD)" checked', page)) == 2
    assert post(ada, f"/calendars/{key}", {**CHOSEN, "sure": "1", "instrument": "SEM"}).status_code == 303
    assert link_of(key).instrument_id is not None


@pytest.mark.parametrize("typed", [{}, {"codes": "NONE"}, {"instrument": "NEW"}])
def test_instruments_that_are_none_are_told_where_they_are_chosen(ada, typed):
    answer = post(ada, "/calendars", {"what": "free", **CHOSEN, **typed})
    assert answer.status_code == 422
    assert 'href="#instrument"' in answer.text
    assert "Unpublished" not in answer.text
    make(ada, "free:SEM")
    (key,) = ids(ada)
    changed = post(ada, f"/calendars/{key}", {**CHOSEN, **typed})
    assert changed.status_code == 422
    assert link_of(key).instrument_id is not None


def test_a_network_and_ones_decisions_can_be_chosen(app, ada):
    with db.transaction() as session:
        make_network(session, facilities.by_code(session, code="LAB"), code="NET", name_en="Pilot network")
    page = ada.get("/calendars").text
    assert '<option value="network:NET">Pilot network' in page
    assert '<option value="approvals">' in page
    for what, name in (("network:NET", "Pilot network"), ("approvals", "Yiqi: waiting for my decision")):
        path = path_of(address_in(make(ada, what).text))
        assert f"NAME:{name}" in app.test_client().get(path).text


def test_the_other_forms_of_an_address_and_its_code_are_shown_once(app, ada):
    page = make(ada, "instrument:SEM").text
    path = path_of(address_in(page)).removesuffix(".ics")
    for form in ("atom", "rss", "json", "ifb"):
        assert f"{path}.{form}</span>" in page
        assert app.test_client().get(f"{path}.{form}").status_code == 200
    assert '<div class="camera"><svg' in page
    assert path not in ada.get("/calendars").text
    mine = make(ada).text
    assert ".ifb</span>" in mine
    assert ".atom</span>" not in mine


def test_drawings_tell_nothing_that_the_steps_do_not(ada):
    for page in (ada.get("/calendars").text, make(ada).text):
        drawings = re.findall(r'<svg class="pic".*?</svg>', page, re.DOTALL)
        assert len(drawings) == 4
        for drawing in drawings:
            assert 'aria-hidden="true"' in drawing
            assert re.sub(r"<[^>]+>|[\s\d]", "", drawing) == ""


def test_from_what_waits_and_from_a_network_the_way_leads_to_its_feed(app, ada):
    with db.transaction() as session:
        make_network(session, facilities.by_code(session, code="LAB"), code="NET", name_en="Pilot network")
    tam = client_of(app, "tam")
    for page, what in (("/approvals", "approvals"), ("/networks/NET", "network:NET")):
        href = re.search(r'href="(/calendars\?[^"]+)"', tam.get(page).text)
        assert f'<option value="{what}" selected>' in tam.get(unescape(href[1])).text

"""One's own account, sessions and tokens, and the administrator's pages of people."""

import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from booking import db
from booking.domain.access import Role
from booking.i18n import use_locale
from booking.web.accounts import browser_name
from models import ApiToken, Membership, MembershipRequest, Person, PersonState, SignIn
from tests import cast
from tests.factories import make_facility
from tests.web.browsing import send, sign_in

IDS = {}


@pytest.fixture
def app(app):
    with db.transaction() as session:
        facility = make_facility(session, code="LAB", name_en="Laboratory")
        people = [cast.ada(session), cast.ben(session), cast.cleo(session), cast.root(session)]
        people.append(cast.tam(session, facility))
        people.append(cast.nora(session))
        for person in people:
            person.locale = "en"
        session.flush()
        IDS.update({person.name: person.id for person in people})
    return app


def client_of(app, name):
    client = app.test_client()
    with db.transaction() as session:
        cast.sign_in(client, session, session.get(Person, IDS[name]))
    return client


@pytest.fixture
def ada(app):
    return client_of(app, "Ada")


@pytest.fixture
def root(app):
    return client_of(app, "Root")


def own_pages():
    return ["/account", "/account/password", "/account/sessions", "/account/tokens"]


def test_every_page_has_its_title_and_one_heading(root):
    pages = [*own_pages(), "/people", f"/people/{IDS['Cleo']}"]
    titles = set()
    for path in pages:
        page = root.get(path)
        assert page.status_code == 200
        assert len(re.findall("<h1", page.text)) == 1
        titles.add(re.search("<title>(.+?)</title>", page.text)[1])
    assert len(titles) == len(pages)


def test_visitors_are_asked_to_sign_in(client, app):
    for path in [*own_pages(), "/people", f"/people/{uuid4()}"]:
        answer = client.get(path)
        assert (answer.status_code, answer.location) == (303, f"/sign-in?next={path}")


def test_a_token_opens_no_page_of_accounts(app):
    with db.transaction() as session:
        header = cast.bearer(session, cast.root(session))
    client = app.test_client()
    for path in [*own_pages(), "/people"]:
        assert client.get(path, headers=header).status_code == 403
    assert client.post("/account/tokens", headers=header, data={}).status_code == 403


# --- one's own ------------------------------------------------------------------------------------


def test_a_profile_is_changed(ada):
    answer = send(ada, "/account", name="Ada L.", locale="zh_Hans_CN", zone="Europe/Berlin")
    assert (answer.status_code, answer.location) == (303, "/account")
    page = ada.get("/account").text
    assert '<html lang="zh-Hans-CN">' in page
    assert 'value="Ada L."' in page
    assert '<option value="Europe/Berlin" selected>' in page


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"locale": "xx"}, {"zone": "Mars"}, {"email": "new@example.org"}, {"state": "x"}]
)
def test_a_profile_takes_nothing_else(ada, wrong):
    assert send(ada, "/account", **{"name": "Ada", "locale": "", "zone": ""} | wrong).status_code == 422
    with db.reading() as session:
        person = session.get(Person, IDS["Ada"])
    assert (person.name, person.email, person.locale) == ("Ada", "ada@example.org", "en")


def test_a_new_password_needs_the_old_one_and_ends_all_other_sessions(app, ada):
    other = client_of(app, "Ada")
    new = "an entirely new sentence"
    assert send(ada, "/account/password", password="wrong", new_password=new).status_code == 422
    assert send(ada, "/account/password", password=cast.PASSWORD, new_password="x").status_code == 422
    with ada.session_transaction() as cookie:
        before = cookie["_user_id"]
    assert send(ada, "/account/password", password=cast.PASSWORD, new_password=new).status_code == 303
    with ada.session_transaction() as cookie:
        assert cookie["_user_id"] != before
    assert ada.get("/account").status_code == 200
    assert other.get("/account").status_code == 303
    assert sign_in(app.test_client(), "ada@example.org", new).status_code == 303


def test_guessing_the_old_password_is_limited(make_app, sqlite_url):
    app = make_app(sqlite_url, rate_limits=True)
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.ada(session))
    for attempt in range(11):
        answer = send(client, "/account/password", password="guess", new_password="an entirely new one")
        assert answer.status_code == (422 if attempt < 10 else 429)


def sign_ins_of(name):
    with db.reading() as session:
        return session.scalars(
            select(SignIn.id).where(SignIn.person_id == IDS[name], SignIn.ended_at.is_(None))
        ).all()


def test_sessions_are_seen_and_ended(app, ada):
    other = client_of(app, "Ada")
    page = ada.get("/account/sessions").text
    assert page.count("<tbody>") == 1
    assert len(re.findall(r"/account/sessions/[0-9a-f-]{36}/end", page)) == 2
    assert page.count("Here</span>") == 1
    assert send(ada, "/account/sessions/end").status_code == 303
    assert other.get("/account").status_code == 303
    (left,) = sign_ins_of("Ada")
    assert send(ada, f"/account/sessions/{left}/end").location == "/"
    assert ada.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/130 Safari/537 Edg/130", "Edge · Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox · Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) Safari/604 MicroMessenger/8",
            "WeChat · iPhone",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14) Version/17 Safari/605", "Safari · macOS"),
        ("curl/8.5", "curl/8.5"),
        ("", "Unknown"),
    ],
)
def test_browsers_are_named_for_people(agent, name):
    with use_locale("en"):
        assert browser_name(agent) == name


def test_nobody_ends_anothers_session(app, ada):
    cleo = client_of(app, "Cleo")
    (hers,) = sign_ins_of("Cleo")
    assert send(ada, f"/account/sessions/{hers}/end").status_code == 404
    assert send(ada, f"/account/sessions/{uuid4()}/end").status_code == 404
    assert cleo.get("/account").status_code == 200


# --- tokens ---------------------------------------------------------------------------------------


def make_token(client, **given):
    defaults = {"name": "Wall display", "days": "30", "password": cast.PASSWORD, "scopes": ["read", "book"]}
    return send(client, "/account/tokens", **defaults | given)


def test_a_token_is_shown_once_and_works(app, ada):
    answer = make_token(ada)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    secret = re.search(r"yiqi_[\w-]{40,}", answer.text)[0]
    page = ada.get("/account/tokens").text
    assert secret not in page
    assert "Wall display" in page
    program = app.test_client()
    header = {"Authorization": f"Bearer {secret}"}
    me = program.get("/api/v1/me", headers=header)
    assert (me.status_code, me.json["email"]) == (200, "ada@example.org")
    me.close()
    with db.reading() as session:
        token = session.scalars(select(ApiToken)).one()
    assert token.used_at is not None
    assert send(ada, f"/account/tokens/{token.id}/revocation").status_code == 303
    refused = program.get("/api/v1/me", headers=header)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong"},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"days": "99999"},
        {"days": "-1"},
        {"name": " "},
        {"person_id": "x"},
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(ada, wrong):
    answer = make_token(ada, **wrong)
    assert answer.status_code == 422
    assert "yiqi_" not in answer.text
    with db.reading() as session:
        assert session.scalars(select(ApiToken)).all() == []


def test_nobody_revokes_anothers_token(app, ada):
    cleo = client_of(app, "Cleo")
    make_token(cleo)
    with db.reading() as session:
        token = session.scalars(select(ApiToken)).one()
    assert send(ada, f"/account/tokens/{token.id}/revocation").status_code == 404
    with db.reading() as session:
        assert session.scalars(select(ApiToken.revoked_at)).one() is None


# --- who belongs to an organisation ---------------------------------------------------------------


@pytest.fixture
def asking(app):
    """Cleo, named as a hostile person would, asks to belong to the university."""
    with db.transaction() as session:
        cleo = session.get(Person, IDS["Cleo"])
        cleo.name = "Cleo <script>"
        session.add(
            MembershipRequest(
                person_id=cleo.id, organisation_id=cast.university(session).id, asked_at=cast.JOINED
            )
        )
    return f"/memberships/{IDS['Cleo']}"


def cleos_organisations():
    with db.reading() as session:
        held = session.scalars(select(Membership.organisation_id).filter_by(person_id=IDS["Cleo"])).all()
        asked = session.scalars(select(MembershipRequest.organisation_id)).all()
    return len(held), len(asked)


@pytest.mark.parametrize("name", ["Ada", "Root"])
def test_who_asks_becomes_a_member_by_a_yes(app, asking, name):
    cleo, client = client_of(app, "Cleo"), client_of(app, name)
    assert "Awaiting approval" in cleo.get("/account").text
    page = client.get("/memberships").text
    assert "Cleo &lt;script&gt;" in page
    assert "cleo@example.org" in page
    assert f'action="{asking}/approval"' in page
    assert send(client, f"{asking}/approval").location == "/memberships"
    assert "The membership was granted." in client.get("/memberships").text
    assert cleos_organisations() == (2, 0)
    page = cleo.get("/account").text
    assert "University" in page
    assert "Awaiting approval" not in page
    assert send(client, f"{asking}/approval").status_code == 404


def test_who_is_refused_stays_what_they_were(app, asking, ada):
    assert send(ada, f"{asking}/rejection").location == "/memberships"
    assert "Nobody waits for an answer" in ada.get("/memberships").text
    assert cleos_organisations() == (1, 0)
    assert "Awaiting approval" not in client_of(app, "Cleo").get("/account").text


@pytest.mark.parametrize("name", ["Ben", "Cleo", "Tam", "Nora"])
def test_nobody_else_answers(app, asking, name):
    client = client_of(app, name)
    assert client.get("/memberships").status_code == 403
    for answer in ("approval", "rejection"):
        assert send(client, f"{asking}/{answer}").status_code == 403
    assert cleos_organisations() == (1, 1)


def test_a_leader_of_another_organisation_learns_nothing(app, asking):
    with db.transaction() as session:
        company = cast.company(session)
        session.add(Membership(person_id=IDS["Ben"], role=Role.LEADER, organisation_id=company.id))
    ben = client_of(app, "Ben")
    assert "cleo@example.org" not in ben.get("/memberships").text
    for answer in ("approval", "rejection"):
        assert send(ben, f"{asking}/{answer}").status_code == 404
    assert cleos_organisations() == (1, 1)


def test_an_answer_needs_the_token_of_a_page_and_takes_no_more(ada, asking):
    assert ada.post(f"{asking}/approval", data={}).status_code == 400
    assert send(ada, f"{asking}/approval", role="leader").status_code == 422
    assert cleos_organisations() == (1, 1)


def test_the_navigation_counts_who_asks(app, asking, ada, root):
    ways = {name: client_of(app, name) for name in ("Ben", "Tam")} | {"Ada": ada, "Root": root}
    for name, client in ways.items():
        assert ('href="/memberships"' in client.get("/account").text) == (name in {"Ada", "Root"})
    assert asking in root.get("/people").text
    send(ada, f"{asking}/approval")
    assert 'href="/memberships"' in ada.get("/account").text
    assert 'href="/memberships"' not in root.get("/account").text
    assert "Requests for membership" not in root.get("/people").text


def test_who_belongs_elsewhere_asks_on_the_page_of_the_account(app, ada):
    cleo = client_of(app, "Cleo")
    page = cleo.get("/account").text
    assert '<option value="UNI">' in page
    assert '<option value="CO">' not in page  # her own
    assert send(cleo, "/account/organisation", organisation="").status_code == 422
    assert send(cleo, "/account/organisation", organisation="UNI").status_code == 303
    assert "Awaiting approval" in cleo.get("/account").text
    assert "Cleo" in ada.get("/memberships").text


# --- everybody ------------------------------------------------------------------------------------


def administration():
    """Every address of the administrator's, with a form that would do."""
    person = f"/people/{IDS['Cleo']}"
    with db.reading() as session:
        held = session.scalars(select(Membership.id).filter_by(person_id=IDS["Cleo"])).one()
    return [
        ("GET", "/people", {}),
        ("GET", person, {}),
        ("POST", f"{person}/memberships", {"role": "administrator", "place": ""}),
        ("POST", f"{person}/memberships/{held}/removal", {}),
        ("POST", f"{person}/disabling", {}),
        ("POST", f"{person}/enabling", {}),
        ("POST", f"{person}/sign-out", {}),
    ]


@pytest.mark.parametrize("name", ["Ada", "Ben", "Cleo", "Tam", "Nora"])
def test_only_an_administrator_sees_or_changes_people(app, name):
    client = client_of(app, name)
    for method, path, form in administration():
        answer = client.get(path) if method == "GET" else send(client, path, **form)
        assert answer.status_code == 403, path
        assert "cleo@example.org" not in answer.text or name == "Cleo"
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Membership)) == 5
        assert session.get(Person, IDS["Cleo"]).state is PersonState.ACTIVE


def test_the_administrator_gives_and_takes_roles(app, root):
    person = f"/people/{IDS['Ben']}"
    assert send(root, f"{person}/memberships", role="operator", place="LAB").location == person
    assert "Laboratory" in root.get(person).text
    with db.reading() as session:
        held = session.scalars(select(Membership).filter_by(person_id=IDS["Ben"], role="operator")).one()
    assert send(root, f"{person}/memberships/{held.id}/removal").location == person
    with db.reading() as session:
        assert session.get(Membership, held.id) is None


@pytest.mark.parametrize(
    "form",
    [
        {"role": "king", "place": ""},
        {"role": "manager", "place": ""},
        {"role": "manager", "place": "NOWHERE"},
        {"role": "manager", "place": "LAB", "person_id": "x"},
    ],
)
def test_roles_that_make_no_sense_are_refused(root, form):
    assert send(root, f"/people/{IDS['Ben']}/memberships", **form).status_code == 422


def test_the_administrator_disables_and_enables(app, root):
    cleo = client_of(app, "Cleo")
    person = f"/people/{IDS['Cleo']}"
    assert send(root, f"{person}/disabling").location == person
    assert "Disabled" in root.get(person).text
    assert cleo.get("/account").status_code == 303
    assert send(root, f"{person}/enabling").location == person
    assert cleo.get("/account").status_code == 303  # that session stays over


def test_the_administrator_ends_sessions(app, root):
    cleo = client_of(app, "Cleo")
    send(root, f"/people/{IDS['Cleo']}/sign-out")
    assert cleo.get("/account").status_code == 303


def test_the_administrator_stays_one(root):
    person = f"/people/{IDS['Root']}"
    page = root.get(person).text
    assert "/disabling" not in page
    assert "/removal" not in page
    with db.reading() as session:
        held = session.scalars(select(Membership.id).filter_by(person_id=IDS["Root"])).one()
    for path in (f"{person}/disabling", f"{person}/memberships/{held}/removal"):
        answer = send(root, path)
        assert answer.status_code == 409
        assert "You cannot take this away from yourself." in answer.text
    assert root.get("/people").status_code == 200


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "1e3", "x"])
def test_strange_numbers_are_nothing(root, number):
    path = f"/people/{IDS['Ben']}/memberships/{number}/removal"
    assert send(root, path).status_code == 404


def test_unknown_people_are_nothing(root):
    assert root.get(f"/people/{UUID(int=0)}").status_code == 404
    assert send(root, f"/people/{UUID(int=0)}/disabling").status_code == 404


def test_people_are_searched_and_paged(root):
    assert "ada@example.org" in root.get("/people?q=ADA").text
    assert "Nobody found" in root.get("/people?q=%25").text
    assert root.get("/people?page=2&page_size=2").status_code == 200
    for query in ("page=0", "page=x", "page_size=100000", "page=99999999999"):
        assert root.get(f"/people?{query}").status_code == 422

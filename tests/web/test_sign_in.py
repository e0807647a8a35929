"""Signing in and out, signing up, resets and languages, through the pages."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from booking import db
from booking.domain import one_time
from booking.services import accounts
from models import Event, Membership, OneTimeLink, Person, PersonState, SignIn
from tests import cast
from tests.web.browsing import csrf_token, send, sign_in

ADA = "ada@example.org"
FOREIGN = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "http:/evil.example",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    ".evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: a=b",
    "/\x00/evil.example",
    "/\x7f/evil.example",
    "//evil.example@127.0.0.1",
    "//[::1]",
    "//[",
    "/\\\\evil.example",
    "http://127.0.0.1@evil.example/",
    "?next=//evil.example",
    "#//evil.example",
    "",
]


@pytest.fixture
def app(app):
    with db.transaction() as session:
        for person in (cast.ada(session), cast.cleo(session), cast.root(session)):
            person.locale = "en"
    return app


@pytest.fixture
def visitor(app):
    client = app.test_client()
    client.set_cookie("yiqi_locale", "en")
    return client


def rows(table) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def living_sessions() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(SignIn).where(SignIn.ended_at.is_(None)))


def mailed_path(app) -> str:
    """The path of the newest mailed link, made as the sender of mail makes it."""
    with db.reading() as session:
        data = session.scalars(
            select(Event.data).where(Event.data["link_id"].is_not(None)).order_by(Event.id.desc())
        ).first()
        link = session.get(OneTimeLink, UUID(data["link_id"]))
    settings = app.extensions["yiqi"]
    return one_time.address("", link.purpose.value, settings.key(), link.id)


# --- in and out -----------------------------------------------------------------------------------


def test_signing_in_leads_back_to_where_one_was(visitor):
    wanted = visitor.get("/account")
    assert wanted.status_code == 303
    assert wanted.location == "/sign-in?next=/account"
    assert 'name="next" value="/account"' in visitor.get(wanted.location).text
    answer = sign_in(visitor, " Ada@Example.org ", cast.PASSWORD, next="/account")
    assert (answer.status_code, answer.location) == (303, "/account")
    assert "ada@example.org" in visitor.get("/account").text


def test_a_write_is_not_repeated_after_signing_in(visitor):
    answer = send(visitor, "/account", name="x", locale="", zone="")
    assert (answer.status_code, answer.location) == (303, "/sign-in")


def test_after_a_form_without_a_session_its_page_comes_back(visitor):
    token = csrf_token(visitor)
    before = {"Referer": "http://localhost/account?part=name"}
    answer = visitor.post("/account", data={"csrf_token": token, "name": "x"}, headers=before)
    assert answer.location == "/sign-in?next=/account?part%3Dname"
    for foreign in ("http://evil.example/account", "http://localhost//evil.example/", "nothing"):
        answer = visitor.post("/account", data={"csrf_token": token}, headers={"Referer": foreign})
        assert answer.location in {"/sign-in", "/sign-in?next=/"}
    too_old = visitor.post("/account", data={"name": "x"}, headers=before)
    assert too_old.status_code == 400
    assert 'href="/account?part=name"' in too_old.text


@pytest.mark.parametrize("target", FOREIGN)
def test_no_redirect_leads_elsewhere(visitor, target):
    refused = {None} if "\x00" in target else {"/"}
    assert {sign_in(visitor, ADA, cast.PASSWORD, next=target).location} == refused
    assert {send(visitor, "/locale", locale="en", next=target).location} == refused
    signed_in = visitor.get("/sign-in", query_string={"next": target})
    assert (signed_in.status_code, signed_in.location) in {(303, "/"), (400, None)}


@pytest.mark.parametrize("target", ["/", "/account", "/instruments?q=%2F%2Fx&page=2", "/a//b", "/?next=//x"])
def test_redirects_lead_to_pages_of_ours(visitor, target):
    assert sign_in(visitor, ADA, cast.PASSWORD, next=target).location == target


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (ADA, "wrong"),
        (ADA, ""),
        (ADA, cast.PASSWORD.upper()),
        (ADA, "x" * 100_000),
        ("nobody@example.org", cast.PASSWORD),
        ("", cast.PASSWORD),
        ("ada@example.org'--", cast.PASSWORD),
    ],
)
def test_a_wrong_word_opens_nothing_and_tells_nothing(visitor, email, password):
    answer = sign_in(visitor, email, password)
    assert answer.status_code == 422
    assert "The e-mail address or the password is not right." in answer.text
    assert password == "" or password not in answer.text
    assert rows(SignIn) == 0


def test_unknown_addresses_cost_a_hash_too(visitor, monkeypatch):
    asked = []
    real = accounts.matches
    monkeypatch.setattr(accounts, "matches", lambda *given: asked.append(given[0]) or real(*given))
    for email in (ADA, "nobody@example.org"):
        sign_in(visitor, email, "wrong")
    assert [known is None for known in asked] == [False, True]


def test_the_disabled_are_not_let_in(visitor):
    with db.transaction() as session:
        cast.ada(session).state = PersonState.DISABLED
    assert sign_in(visitor, ADA, cast.PASSWORD).status_code == 422


def test_disabling_ends_what_is_open(visitor):
    sign_in(visitor, ADA, cast.PASSWORD)
    assert visitor.get("/account").status_code == 200
    with db.transaction() as session:
        cast.ada(session).state = PersonState.DISABLED
    assert visitor.get("/account").status_code == 303


def test_signing_in_changes_the_session_so_that_none_can_be_planted(visitor):
    planted = csrf_token(visitor)
    before = visitor.get_cookie("yiqi").value
    sign_in(visitor, ADA, cast.PASSWORD)
    after = visitor.get_cookie("yiqi").value
    assert before != after
    with visitor.session_transaction() as cookie:
        first = cookie["_user_id"]
    # A token of before is worth nothing now, and a second signing in makes another secret.
    assert visitor.post("/sign-out", data={"csrf_token": planted}).status_code == 400
    sign_in(visitor, ADA, cast.PASSWORD)
    with visitor.session_transaction() as cookie:
        assert cookie["_user_id"] != first


def test_a_made_up_session_is_nobodys(visitor):
    with visitor.session_transaction() as cookie:
        cookie["_user_id"] = str(uuid4())
    assert visitor.get("/account").status_code == 303
    visitor.set_cookie("yiqi", "eyJfdXNlcl9pZCI6IjEifQ.forged.signature")
    assert visitor.get("/account").status_code == 303


def test_signing_out_ends_the_session_on_the_server(visitor):
    sign_in(visitor, ADA, cast.PASSWORD)
    stolen = visitor.get_cookie("yiqi").value
    answer = send(visitor, "/sign-out")
    assert (answer.status_code, answer.location) == (303, "/")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert living_sessions() == 0
    visitor.set_cookie("yiqi", stolen)
    assert visitor.get("/account").status_code == 303


def test_a_session_ends_after_its_idle_hours(visitor):
    sign_in(visitor, ADA, cast.PASSWORD)
    with db.transaction() as session:
        session.execute(update(SignIn).values(seen_at=datetime.now(UTC) - timedelta(hours=13)))
    assert visitor.get("/account").status_code == 303


def test_the_last_use_is_noted_once_in_a_while(visitor):
    sign_in(visitor, ADA, cast.PASSWORD)
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    with db.transaction() as session:
        session.execute(update(SignIn).values(seen_at=long_ago))
    visitor.get("/account").close()
    with db.reading() as session:
        noted = session.scalars(select(SignIn.seen_at)).one()
    assert noted > long_ago + timedelta(minutes=9)
    visitor.get("/account").close()
    with db.reading() as session:
        assert session.scalars(select(SignIn.seen_at)).one() == noted


# --- limits ---------------------------------------------------------------------------------------


def test_attempts_are_limited_by_account_whatever_the_session(make_app, sqlite_url):
    app = make_app(sqlite_url, rate_limits=True)
    with db.transaction() as session:
        cast.ada(session)
    for attempt in range(11):
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = f"192.0.2.{attempt}"
        answer = sign_in(client, ADA, "wrong")
        assert answer.status_code == (422 if attempt < 10 else 429)
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    refused = sign_in(app.test_client(), ADA, cast.PASSWORD)
    assert refused.status_code == 429
    assert "请在 1" in refused.text  # ten minutes and more
    assert sign_in(app.test_client(), "nobody@example.org", "wrong").status_code == 422


def test_attempts_are_limited_by_network(make_app, sqlite_url):
    app = make_app(sqlite_url, rate_limits=True)
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "2001:db8::1"
    token = csrf_token(client)
    statuses = []
    for attempt in range(101):
        client.environ_base["REMOTE_ADDR"] = f"2001:db8::{attempt:x}"
        data = {"csrf_token": token, "email": f"{attempt}@example.org", "password": ""}
        statuses.append(client.post("/sign-in", data=data).status_code)
    assert statuses == [422] * 100 + [429]


def test_who_gets_in_has_all_attempts_again(make_app, sqlite_url):
    app = make_app(sqlite_url, rate_limits=True)
    with db.transaction() as session:
        cast.ada(session)
    for _ in range(3):
        for _ in range(6):
            assert sign_in(app.test_client(), ADA, "wrong").status_code == 422
        assert sign_in(app.test_client(), ADA, cast.PASSWORD).status_code == 303


def test_letters_to_one_address_are_limited(make_app, sqlite_url):
    app = make_app(sqlite_url, rate_limits=True)
    client = app.test_client()
    statuses = [send(client, "/password-resets", email=ADA).status_code for _ in range(6)]
    assert statuses == [303] * 5 + [429]


# --- signing up -----------------------------------------------------------------------------------

DAN = {"name": "Dan", "email": "dan@example.org", "password": "seven green lab coats", "organisation": ""}


def test_signing_up_to_the_first_page(app, visitor):
    assert send(visitor, "/sign-up", **DAN).location == "/mail-sent"
    # Not before the address is confirmed.
    assert sign_in(visitor, DAN["email"], DAN["password"]).location == "/mail-sent"
    assert visitor.get("/account").status_code == 303
    path = mailed_path(app)
    assert visitor.get(path).status_code == 200
    assert send(visitor, path, password="another one altogether").status_code == 422
    assert send(visitor, path, password=DAN["password"]).location == "/"
    assert "dan@example.org" in visitor.get("/account").text
    assert visitor.get(path).status_code == 404


def test_an_organisation_that_was_named_makes_nobody_its_member(app, visitor):
    with db.transaction() as session:
        cast.university(session)
    send(visitor, "/sign-up", **DAN | {"organisation": "UNI"})
    send(visitor, mailed_path(app), password=DAN["password"])
    page = visitor.get("/account").text
    assert "Awaiting approval" in page
    with db.reading() as session:
        dan = session.scalars(select(Person).where(Person.email == DAN["email"])).one()
        assert session.scalars(select(Membership).filter_by(person_id=dan.id)).all() == []


def test_looking_at_a_link_uses_nothing_up(app, visitor):
    send(visitor, "/sign-up", **DAN)
    path = mailed_path(app)
    for _ in range(3):
        assert visitor.get(path).status_code == 200
    with db.reading() as session:
        assert session.scalars(select(OneTimeLink.used_at)).all() == [None]


def test_signing_up_tells_nobody_who_has_an_account(visitor):
    known = send(visitor, "/sign-up", **DAN | {"email": ADA})
    unknown = send(visitor, "/sign-up", **DAN)
    assert (known.status_code, known.location, known.text) == (303, "/mail-sent", unknown.text)
    with db.reading() as session:
        assert session.scalars(select(Person.name).where(Person.email == ADA)).one() == "Ada"
        kinds = session.scalars(select(Event.kind).order_by(Event.id)).all()
    assert kinds == ["person.password_reset_asked", "person.signed_up"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"email": "dan"}, "This cannot be understood."),
        ({"name": ""}, "This is needed."),
        ({"password": "short"}, "Use at least 8 characters."),
        ({"password": "password123"}, "This password is too common."),
        ({"organisation": "NONE"}, "This is not known."),
    ],
)
def test_a_form_that_makes_no_sense_comes_back_as_it_was(visitor, wrong, said):
    answer = send(visitor, "/sign-up", **DAN | wrong)
    assert answer.status_code == 422
    assert said in answer.text
    assert DAN["password"] not in answer.text
    assert ('value="Dan"' in answer.text) == ("name" not in wrong)
    with db.reading() as session:
        assert session.scalars(select(Person).where(Person.email == "dan@example.org")).all() == []


@pytest.mark.parametrize(
    "more", [{"role": "administrator"}, {"state": "active"}, {"email_confirmed_at": "x"}]
)
def test_a_form_with_more_than_it_has_is_refused(visitor, more):
    assert send(visitor, "/sign-up", **DAN | more).status_code == 422
    assert send(visitor, "/sign-up", **DAN | {"name": ["Dan", "Root"]}).status_code == 422
    assert rows(Event) == 0


def test_signing_up_may_be_closed(make_app, sqlite_url):
    client = make_app(sqlite_url, sign_up=False).test_client()
    assert client.get("/sign-up").status_code == 404
    assert send(client, "/sign-up", **DAN).status_code == 404


def test_what_people_type_is_shown_as_text(visitor):
    polyglot = "\"'><script>alert(1)</script>{{7*7}}${7*7}"
    answer = send(visitor, "/sign-up", **DAN | {"name": polyglot, "password": "short"})
    assert "<script>alert" not in answer.text
    assert "{{7*7}}${7*7}" in answer.text


# --- a forgotten password -------------------------------------------------------------------------


def test_a_new_password_by_mail_ends_every_session(app, visitor):
    other = app.test_client()
    sign_in(other, ADA, cast.PASSWORD)
    assert send(visitor, "/password-resets", email=ADA).location == "/mail-sent"
    path = mailed_path(app)
    assert visitor.get(path).status_code == 200
    assert send(visitor, path, password="short").status_code == 422
    assert send(visitor, path, password="an entirely new sentence").location == "/sign-in"
    assert other.get("/account").status_code == 303
    assert sign_in(visitor, ADA, cast.PASSWORD).status_code == 422
    assert sign_in(visitor, ADA, "an entirely new sentence").status_code == 303
    assert send(visitor, path, password="and another sentence").status_code == 404


def test_asking_for_a_reset_tells_nobody_who_has_an_account(visitor):
    answers = [send(visitor, "/password-resets", email=email) for email in (ADA, "nobody@example.org")]
    assert len({(answer.status_code, answer.location, answer.text) for answer in answers}) == 1
    assert rows(OneTimeLink) == 1


def test_a_reset_page_without_its_secret_is_over(visitor):
    for path in (f"/password-resets/{uuid4()}/x", f"/confirmations/{uuid4()}/x"):
        assert visitor.get(path).status_code == 404
        assert send(visitor, path, password="an entirely new sentence").status_code == 404


def test_links_start_with_the_public_url_whatever_the_host(app):
    client = app.test_client()
    answer = client.post(
        "/password-resets",
        data={"email": ADA, "csrf_token": "x"},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )
    assert answer.status_code == 400  # a token of another session
    assert "evil.example" not in answer.text
    page = client.get("/sign-in", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert "evil.example" not in page.text


# --- the language ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepts", "language"),
    [
        ("en-GB,en;q=0.8,zh;q=0.5", "en"),
        ("zh-TW,zh;q=0.9", "zh-Hant-HK"),
        ("zh-Hant", "zh-Hant-HK"),
        ("zh-CN", "zh-Hans-CN"),
        ("de,fr;q=0.5", "zh-Hans-CN"),
        ("fr,en;q=0.2", "en"),
        ("", "zh-Hans-CN"),
        ("\\,;q=x,*", "zh-Hans-CN"),
    ],
)
def test_the_browser_says_which_language(app, accepts, language):
    page = app.test_client().get("/sign-in", headers={"Accept-Language": accepts})
    assert f'<html lang="{language}">' in page.text
    assert "Accept-Language" in page.headers["Vary"]


def test_the_chosen_language_wins_and_stays(app):
    client = app.test_client()
    answer = send(client, "/locale", locale="zh_Hant_HK", next="/sign-in?next=/account")
    assert answer.location == "/sign-in?next=/account"
    english = {"Accept-Language": "en"}
    assert '<html lang="zh-Hant-HK">' in client.get("/sign-in", headers=english).text
    sign_in(client, ADA, cast.PASSWORD)
    assert '<html lang="en">' in client.get("/account").text  # Ada's own choice
    send(client, "/locale", locale="zh_Hans_CN", next="/")
    with db.reading() as session:
        assert session.scalars(select(Person.locale).where(Person.email == ADA)).one() == "zh_Hans_CN"
    assert send(client, "/locale", locale="xx", next="/").status_code == 422


def test_every_page_of_signing_in_has_its_title_and_one_heading(app, visitor):
    send(visitor, "/sign-up", **DAN)
    confirmation = mailed_path(app)
    send(visitor, "/password-resets", email=ADA)
    paths = ["/sign-in", "/sign-up", "/mail-sent", "/password-resets", confirmation, mailed_path(app)]
    titles = set()
    for path in paths:
        page = visitor.get(path)
        assert page.status_code == 200
        assert len(re.findall("<h1", page.text)) == 1
        titles.add(re.search("<title>(.+?)</title>", page.text)[1])
    assert len(titles) == len(paths)

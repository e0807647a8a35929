"""Small readers of requests: versions, pages of lists, forms, addresses."""

import pytest

from booking.domain.rules import Invalid
from booking.http import etags, paging
from booking.http.context import for_programs, public_url_for
from booking.http.forms import fields


@pytest.mark.parametrize(("sent", "version"), [('"3"', 3), ("*", None), ("", None), (' "12" ', 12)])
def test_a_version_is_read_from_if_match(app, sent, version):
    with app.test_request_context(headers={"If-Match": sent}):
        assert etags.version_wanted() == version


@pytest.mark.parametrize("sent", ["3", '"x"', 'W/"3"', '"-1"', '""', '"1234567890"', '"３"'])
def test_a_tag_that_is_none_of_ours_is_of_no_version(app, sent):
    environ = {"HTTP_IF_MATCH": sent.encode().decode("latin-1")}
    with app.test_request_context(environ_overrides=environ):
        assert etags.version_wanted() == etags.NEVER


def test_several_tags_are_refused(app):
    with app.test_request_context(headers={"If-Match": '"3", "4"'}), pytest.raises(Invalid) as error:
        etags.version_wanted()
    assert error.value.errors == {"If-Match": "malformed"}


def test_a_tag_is_what_if_match_brings_back(app):
    with app.test_request_context(headers={"If-Match": etags.of_version(7)}):
        assert etags.version_wanted() == 7


def test_a_page_is_read_from_the_query(app):
    with app.test_request_context("/?page=3&page_size=10"):
        assert paging.page_wanted() == (3, 10)
    with app.test_request_context("/"):
        assert paging.page_wanted(default=25) == (1, 25)


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=1.5", "page=", "page=1e3", "page=99999999999999", "page_size=201", "page=二"],
)
def test_a_page_that_cannot_be_is_refused(app, query):
    with app.test_request_context(f"/?{query}"), pytest.raises(Invalid):
        paging.page_wanted()


def test_the_next_page_asks_the_same_and_leads_nowhere_else(app):
    address = "/people?q=a%26b&q=c&_external=1&_scheme=javascript&endpoint=x&page=2"
    with app.test_request_context(address, headers={"Host": "evil.example"}):
        following = paging.next_url(total=101, page=2, page_size=50)
        assert following == "/people?q=a%26b&q=c&_external=1&_scheme=javascript&endpoint=x&page=3"
        assert paging.next_url(total=100, page=2, page_size=50) is None


def test_forms_bring_what_they_have_each_once(app):
    with app.test_request_context(method="POST", data={"name": "Ada", "csrf_token": "x", "tag": ["a", "b"]}):
        assert fields("name", "email", many=("tag",)) == {"name": "Ada", "email": ""}
        with pytest.raises(Invalid) as error:
            fields("name")
        assert error.value.errors == {"tag": "unknown"}
        with pytest.raises(Invalid) as error:
            fields("name", "tag")
        assert error.value.errors == {"tag": "duplicate"}


@pytest.mark.parametrize(
    ("path", "accept", "program"),
    [
        ("/api/v1/bookings", "text/html", True),
        ("/sign-in", "application/json", True),
        ("/sign-in", "application/problem+json", True),
        ("/sign-in", "text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("/sign-in", "*/*", False),
        ("/sign-in", "", False),
    ],
)
def test_programs_are_told_from_people(app, path, accept, program):
    with app.test_request_context(path, headers={"Accept": accept}):
        assert for_programs() is program


def test_full_addresses_start_with_the_public_url(make_app, sqlite_url):
    app = make_app(sqlite_url, public_url="https://yiqi.example/")
    with app.test_request_context(headers={"Host": "evil.example"}):
        assert public_url_for("web.sign_in", next="/") == "https://yiqi.example/sign-in?next=/"

"""Our own files: addresses that name their content, kept for good only when they do."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from booking.http.static import scripts_url, static_url, styles_url


def address(app: Flask, *sheets: str) -> str:
    with app.test_request_context():
        return styles_url(*sheets)


def kept(client: FlaskClient, path: str) -> str:
    """What the answer says about keeping it; its file is closed again."""
    with client.get(path) as answer:
        return answer.headers["Cache-Control"]


def test_sheets_come_as_one_in_the_order_asked(app, client):
    answer = client.get(address(app, "tokens", "base"))
    assert answer.mimetype == "text/css"
    assert answer.text.index("--accent:") < answer.text.index(":focus-visible")
    assert "immutable" in answer.headers["Cache-Control"]
    again = client.get(address(app, "tokens", "base"), headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_modules_come_as_one_and_none_knows_anothers_names(app, client):
    with app.test_request_context():
        path = scripts_url("strip", "hold")
    answer = client.get(path)
    assert answer.mimetype == "text/javascript"
    assert "immutable" in answer.headers["Cache-Control"]
    first, second = answer.text.split("\n}\n{\n")
    assert first.startswith("{\n// The strip of a booking form")
    assert "\nexport " not in answer.text
    assert second.startswith("// Keeps the time of a form")
    assert client.get("/scripts/nothing.js").status_code == 404


@pytest.mark.parametrize(
    "names", ["nothing", "tokens+nothing", "..%2F..%2Fpyproject", "tokens++base", "+", "a" * 300]
)
def test_other_names_are_not_found(client, names):
    assert client.get(f"/styles/{names}.css").status_code == 404


def test_only_an_address_that_names_the_content_is_kept_for_good(app, client):
    with app.test_request_context():
        path = static_url("js/menu.js")
    assert "immutable" in kept(client, path)
    for other in ("/static/js/menu.js?v=000000000000", "/static/js/menu.js", "/styles/tokens.css?v=0"):
        assert "immutable" not in kept(client, other)


def test_an_address_changes_with_the_content(app_of_its_own, tmp_path):
    app = app_of_its_own
    app.static_folder = str(tmp_path)
    (tmp_path / "css").mkdir()
    sheet = tmp_path / "css" / "x.css"
    sheet.write_text("a {}")
    first = address(app, "x")
    sheet.write_text("b { color: red }")
    assert address(app, "x") != first


def test_a_page_names_no_other_host(client):
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page

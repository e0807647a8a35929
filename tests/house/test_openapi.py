"""The OpenAPI document: stored as served, complete, and with one shape for every error.

`uv run python -m tests.house.test_openapi` writes the stored copy anew after a change that is meant.
"""

import contextlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import NotFound

from booking.api import openapi_text
from booking.app import create_app
from booking.config import Settings
from booking.http.guard import guards
from booking.wording import REASONS

STORED = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def described(app: Flask) -> dict[str, Any]:
    return json.loads(openapi_text(app))


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in described["paths"].items():
        for method, operation in found.items():
            if method in METHODS:
                yield path, method, operation


def test_the_stored_document_is_the_served_one(app: Flask):
    served = app.test_client().get("/api/openapi.json")
    assert served.mimetype == "application/json"
    assert served.text == STORED.read_text(), "python -m tests.house.test_openapi writes it anew"


def test_it_is_openapi_3_1(described):
    assert described["openapi"] == "3.1.0"
    assert set(described["components"]["securitySchemes"]) == {"bearer", "cookie"}


def test_every_route_of_the_api_is_described_and_nothing_else(app: Flask, described):
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, method, _ in operations(described)} == routes


def test_every_operation_says_what_it_does_and_who_may(described):
    names = set()
    for path, method, operation in operations(described):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert not operation["summary"].endswith("."), where
        assert operation["security"], where
        assert operation["tags"], where
        assert operation["operationId"] not in names, where
        names.add(operation["operationId"])


def test_security_is_optional_only_where_visitors_may_come(app: Flask, described):
    from booking.domain.access import RULES, Relation

    open_to_visitors = {
        endpoint
        for endpoint, _, action in guards(app)
        if action in RULES and Relation.ANYONE in RULES[action].relations
    }
    for path, method, operation in operations(described):
        endpoint = _endpoint(app, path, method)
        assert ({} in operation["security"]) is (endpoint in open_to_visitors), f"{method} {path}"


def _endpoint(app: Flask, path: str, method: str) -> str:
    """Give what answers there; some ids are UUIDs, some are numbers."""
    adapter = app.url_map.bind("localhost")
    for example in ("6265c0fb-e33b-4529-a4b3-0ae5bf41c93a", "1"):
        with contextlib.suppress(NotFound):
            return adapter.match(re.sub(r"\{\w+\}", example, path), method=method.upper())[0]
    raise AssertionError(path)


def test_every_error_has_the_one_shape(described):
    shared = described["components"]["responses"]
    for path, method, operation in operations(described):
        errors = {status: said for status, said in operation["responses"].items() if status >= "400"}
        assert {"400", "401", "403", "429", "503"} <= set(errors), f"{method} {path}"
        for status, said in errors.items():
            assert said == {"$ref": f"#/components/responses/Problem{status}"}, f"{method} {path} {status}"
    for said in shared.values():
        assert said["description"]
        assert set(said["content"]) == {"application/problem+json"}
        assert said["content"]["application/problem+json"]["schema"] == {
            "$ref": "#/components/schemas/Problem"
        }


def test_bodies_and_answers_let_no_unknown_field_through(described):
    for name, schema in described["components"]["schemas"].items():
        if schema.get("type") == "object":
            assert schema.get("additionalProperties") is False, name


def test_every_reference_leads_somewhere(described):
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(described)):
        place: Any = described
        for step in reference.split("/"):
            place = place[step]


def test_paths_are_kebab_case(described):
    for path in described["paths"]:
        plain = re.sub(r"\{\w+\}", "", path)
        assert re.fullmatch(r"[a-z0-9/-]+", plain), path


def test_the_guide_names_every_reason_of_a_refusal():
    guide = (STORED.parent / "api.md").read_text()
    at = guide.index("Reasons of a refusal:")
    named = set(re.findall(r"`(\w+)`", guide[at : guide.index("One that is", at)]))
    assert named == set(REASONS) - {"own_account"}  # which no operation of the API gives


def test_the_page_of_docs_is_there(app: Flask):
    answer = app.test_client().get("/api/docs")
    assert answer.status_code == 200
    assert "/api/openapi.json" in answer.text
    inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|\son\w+=|\sstyle=", answer.text)
    assert inline == []


def main() -> None:
    """Write the stored copy."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(instance=Path(folder), secret_key="only to write a document down")
        STORED.write_text(openapi_text(create_app(settings, check=False)))
    sys.stdout.write(f"{STORED}\n")


if __name__ == "__main__":
    main()

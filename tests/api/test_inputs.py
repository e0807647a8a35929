"""What makes no sense gets a clear problem with its code, and nothing is written."""

import json

import pytest

from tests.api.conftest import World, at

GOOD = {"instrument_id": "SEM", "start": at(9), "end": at(10)}


def refused(world: World, body, path="/bookings", **kwargs):
    """The errors of a body that must be invalid, and leave nothing behind."""
    answer = world.post(path, json=body, **kwargs)
    assert answer.status_code == 422, answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == "invalid"
    assert answer.json["detail"]
    assert world.get("/bookings", who="root").json["total"] == 0
    return answer.json["errors"]


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("2026-11-23T09:00:00", "naive"),
        ("2026-11-23T09:00:00.5", "naive"),
        ("2026-11-23", "malformed"),
        ("2026-11-23 09:00:00Z", "malformed"),
        ("2026-11-23T09:00Z", "malformed"),
        ("2026-11-23T24:00:00Z", "malformed"),
        ("2026-02-30T09:00:00Z", "malformed"),
        ("2026-11-23T09:00:00+25:00", "malformed"),
        ("2026-11-23T09:00:00+08", "malformed"),
        ("2026-11-23T09:00:00 Asia/Shanghai", "malformed"),
        ("２０２６-11-23T09:00:00Z", "malformed"),
        ("20261123T090000Z", "malformed"),
        ("tomorrow", "malformed"),
        ("", "malformed"),
        ("9" * 10_000, "malformed"),
        (1_795_000_000, "malformed"),
        (True, "malformed"),
        (None, "required"),
        ([], "malformed"),
        ({}, "malformed"),
        ("1999-12-31T23:59:59Z", "out_of_range"),
        ("2101-01-01T00:00:00Z", "out_of_range"),
        ("0001-01-01T00:00:00+14:00", "out_of_range"),
        ("9999-12-31T23:59:59-12:00", "out_of_range"),
    ],
)
def test_times_are_rfc_3339_with_an_offset(world: World, start, code):
    assert refused(world, GOOD | {"start": start}) == {"start": code}


@pytest.mark.parametrize("end", [at(9), at(8.5)])
def test_a_span_has_a_length(world: World, end):
    assert refused(world, GOOD | {"end": end}) == {"end": "inverted"}
    assert refused(world, {"items": [GOOD, GOOD | {"end": end}]}) == {"items.1.end": "inverted"}


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        (0, "too_small"),
        (-1, "too_small"),
        (10**7, "too_large"),
        (10**400, "too_large"),
        (1.0, "malformed"),
        (1.5, "malformed"),
        (True, "malformed"),
        ("1", "malformed"),
        (None, "required"),
        ([1], "malformed"),
    ],
)
def test_a_quantity_is_a_whole_number_from_one(world: World, quantity, code):
    assert refused(world, GOOD | {"quantity": quantity}) == {"quantity": code}


def test_more_units_than_there_are_is_a_refusal(world: World):
    answer = world.post("/bookings", json=GOOD | {"instrument_id": "TANK", "quantity": 5})
    assert answer.status_code == 409
    assert {reason["code"] for reason in answer.json["reasons"]} == {"too_many_units", "taken"}


@pytest.mark.parametrize(
    ("purpose", "code"),
    [
        ("x" * 4001, "too_long_text"),
        ("x" * 1_000_000, "too_long_text"),
        ("nul \x00", "control_characters"),
        ("bell \x07", "control_characters"),
        ("escape \x1b[31m", "control_characters"),
        ("c1 \x85", "control_characters"),
        ("half \ud83d", "control_characters"),
        (7, "malformed"),
        (None, "required"),
        (["text"], "malformed"),
    ],
)
def test_a_purpose_is_text_without_control_characters(world: World, purpose, code):
    assert refused(world, GOOD | {"purpose": purpose}) == {"purpose": code}


@pytest.mark.parametrize(
    "purpose",
    [
        "x" * 4000,
        "two\nlines\twith a tab\r\n",
        "👩‍🔬🧪 \U0001f9eb",
        "\u202eright to left\u202c مرحبا שלום",
        "'; DROP TABLE booking; --",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "  ",
    ],
)
def test_other_text_is_kept_as_it_was_typed(world: World, purpose):
    booking = world.book(purpose=purpose)
    assert booking["purpose"] == purpose
    assert world.get(f"/bookings/{booking['id']}").json["purpose"] == purpose


@pytest.mark.parametrize("value", ["yes", "true", 1, 0, [], "x"])
def test_a_flag_is_true_or_false(world: World, value):
    assert refused(world, GOOD | {"confidential": value}) == {"confidential": "malformed"}


@pytest.mark.parametrize(
    "value",
    [
        "7",
        7,
        "{6265c0fb-e33b-4529-a4b3-0ae5bf41c93a}",
        "urn:uuid:6265c0fb-e33b-4529-a4b3-0ae5bf41c93a",
        "6265c0fbe33b4529a4b30ae5bf41c93a----",
        "x" * 36,
    ],
)
def test_a_project_has_an_id(world: World, value):
    assert refused(world, GOOD | {"project_id": value}) == {"project_id": "malformed"}


def test_other_peoples_projects_are_not_found(world: World):
    answer = world.post("/bookings", json=GOOD | {"project_id": world.ids["project"]}, who="cleo")
    assert answer.status_code == 404
    unknown = world.post("/bookings", json=GOOD | {"project_id": "6265c0fb-e33b-4529-a4b3-0ae5bf41c93a"})
    assert (unknown.status_code, unknown.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("code", ["NONE", "", "SECRET", "sem", "%", "SEM'--", "x" * 40])
def test_unknown_and_hidden_instruments_are_not_found(world: World, code):
    answer = world.post("/bookings", json=GOOD | {"instrument_id": code})
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_all_that_lacks_is_named_at_once(world: World):
    assert refused(world, {}) == dict.fromkeys(("instrument_id", "start", "end"), "required")
    assert refused(world, {"items": [{}]}) == {
        "items.0.instrument_id": "required",
        "items.0.start": "required",
        "items.0.end": "required",
    }


def test_items_are_a_list_of_their_own(world: World):
    for items, errors in (
        ([], {"items": "required"}),
        (None, {"items": "required"}),
        ({}, {"items": "malformed"}),
        ("SEM", {"items": "malformed"}),
        (["SEM"], {"items.0": "malformed"}),
        ([None], {"items.0": "required"}),
        ([GOOD | {"x": 1}], {"items.0.x": "unknown"}),
        ([GOOD, GOOD], {"items": "duplicate"}),
        ([GOOD] * 51, {"items": "too_large"}),
    ):
        assert refused(world, {"items": items}) == errors, items
    both = refused(world, GOOD | {"items": [GOOD]})
    assert both == dict.fromkeys(("instrument_id", "start", "end"), "unknown")


def test_unknown_fields_are_refused(world: World):
    assert refused(world, GOOD | {"state": "confirmed", "price": 0}) == {
        "state": "unknown",
        "price": "unknown",
    }
    many = refused(world, GOOD | {f"field{n}\ud83d": n for n in range(1000)})
    assert len(many) == 100


@pytest.mark.parametrize("path", ["/bookings", "/bookings/dry-run"])
@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"\xff\xfe",
        b'{"start": NaN}',
        b'{"quantity": Infinity}',
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 100_000,
        b"nonsense",
        b"'single'",
    ],
    ids=["cut", "bytes", "nan", "infinity", "deep", "deeper", "word", "quotes"],
)
def test_a_body_is_json(world: World, path, raw):
    answer = world.post(path, data=raw, content_type="application/json")
    assert (answer.status_code, answer.json["errors"]) == (422, {"body": "malformed"})


@pytest.mark.parametrize("body", [[], [GOOD], "text", 7, True, None])
def test_a_body_is_an_object(world: World, body):
    answer = world.post("/bookings", data=json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json["errors"]) == (422, {"body": "malformed"})


def test_a_number_of_many_digits_is_no_fault_of_the_server(world: World):
    raw = json.dumps(GOOD)[:-1] + ', "quantity": ' + "9" * 10_000 + "}"
    answer = world.post("/bookings", data=raw, content_type="application/json")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "application/xml", ""]
)
def test_another_kind_of_body_is_refused(world: World, kind):
    answer = world.post("/bookings", data=json.dumps(GOOD), content_type=kind)
    assert (answer.status_code, answer.mimetype) == (415, "application/problem+json")


def test_a_body_for_an_address_that_does_not_exist_is_told_of_the_address(world: World):
    answer = world.ask(
        "PUT", "/networks/no%20code/logo", data=b"picture", content_type="application/octet-stream"
    )
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert world.get("/bookings").json["total"] == 0


def test_a_body_of_megabytes_is_refused(world: World):
    answer = world.post("/bookings", json=GOOD | {"purpose": "x" * 1_100_000})
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("path", "query", "errors"),
    [
        ("/instruments", {"colour": "red"}, {"colour": "unknown"}),
        ("/instruments", {"page": "0"}, {"page": "too_small"}),
        ("/instruments", {"page": "10001"}, {"page": "too_large"}),
        ("/instruments", {"page": "9" * 5000}, {"page": "malformed"}),
        ("/instruments", {"page": "1.0"}, {"page": "malformed"}),
        ("/instruments", {"page": "１"}, {"page": "malformed"}),
        ("/instruments", {"page_size": "101"}, {"page_size": "too_large"}),
        ("/instruments", {"page": ["1", "2"]}, {"page": "duplicate"}),
        ("/instruments", {"kind": "boat"}, {"kind": "unknown"}),
        ("/instruments", {"q": "x" * 201}, {"q": "too_long_text"}),
        ("/instruments", {"q": "\x01"}, {"q": "control_characters"}),
        ("/bookings", {"state": "gone"}, {"state.0": "unknown"}),
        ("/bookings", {"mine": "maybe"}, {"mine": "malformed"}),
        ("/bookings", {"from": at(10), "to": at(9)}, {"to": "inverted"}),
        ("/bookings", {"from": at(0), "to": at(0, day=401)}, {"to": "out_of_range"}),
        ("/instruments/SEM/free", {}, {"from": "required", "to": "required"}),
        ("/instruments/SEM/free", {"from": at(10), "to": at(10)}, {"to": "inverted"}),
        ("/instruments/SEM/free", {"from": at(0), "to": at(0, day=401)}, {"to": "out_of_range"}),
        ("/instruments/SEM/free", {"from": "2026-11-23T09:00:00", "to": at(0)}, {"from": "naive"}),
        ("/instruments/SEM/occupations", {"from": at(0)}, {"to": "required"}),
        ("/instruments/SEM/occupations", {"from": at(0), "to": at(0, day=401)}, {"to": "out_of_range"}),
        ("/facilities/LAB/occupations", {"from": at(0), "to": at(0, day=401)}, {"to": "out_of_range"}),
        ("/free", {"from": at(0), "to": at(1)}, {"duration": "required"}),
        (
            "/free",
            {"from": at(0), "to": at(1), "duration": "PT2H", "quantity": "0"},
            {"quantity": "too_small"},
        ),
        ("/free", {"from": at(0), "to": at(1), "duration": "PT2H", "limit": "101"}, {"limit": "too_large"}),
    ],
)
def test_queries_are_as_strict_as_bodies(world: World, path, query, errors):
    answer = world.get(path, query_string=query)
    assert (answer.status_code, answer.json.get("errors")) == (422, errors)


@pytest.mark.parametrize(
    ("duration", "code"),
    [
        ("2h", "malformed"),
        ("P", "malformed"),
        ("PT", "malformed"),
        ("P1DT", "malformed"),
        ("P1M", "malformed"),
        ("P1Y", "malformed"),
        ("PT1.5H", "malformed"),
        ("-PT1H", "malformed"),
        ("PT0S", "out_of_range"),
        ("P401D", "out_of_range"),
        ("P9999W", "out_of_range"),
        ("", "malformed"),
    ],
)
def test_a_duration_is_iso_8601(world: World, duration, code):
    answer = world.get("/free", query_string={"from": at(0), "to": at(24), "duration": duration})
    assert (answer.status_code, answer.json["errors"]) == (422, {"duration": code})


@pytest.mark.parametrize(
    "duration", ["PT2H", "PT120M", "PT7200S", "PT1H60M", "P1D", "P1W", "P1DT12H", "P0DT1H"]
)
def test_durations_of_every_form_are_read(world: World, duration):
    answer = world.get("/free", query_string={"from": at(0), "to": at(0, day=30), "duration": duration})
    assert answer.status_code == 200
    assert answer.json["offers"]


def test_a_plus_that_nobody_escaped_is_still_an_offset(world: World):
    start = at(0).replace("Z", "+00:00")
    answer = world.ask("GET", f"/instruments/SEM/free?from={start}&to={at(10)}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/bookings/1",
        "/bookings/none",
        "/instruments/",
        "/instruments/a b",
        "/nothing",
        "/bookings/x/y",
        "/instruments/%2e%2e%2fetc",
    ],
)
def test_unknown_addresses_are_problems_too(world: World, path):
    answer = world.get(path)
    assert (answer.status_code, answer.mimetype, answer.json["code"]) == (
        404,
        "application/problem+json",
        "not_found",
    )


def test_a_method_that_is_not_there_is_a_problem_too(world: World):
    answer = world.delete("/instruments")
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert "GET" in answer.headers["Allow"]


def test_a_nul_in_an_address_is_refused(world: World):
    for path in ("/instruments/%00", "/instruments?q=%00"):
        assert world.get(path).status_code == 400, path

"""Thousands of requests made from the OpenAPI document: no fault of the server, no answer outside it."""

import zlib
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode

from booking.gateways import way_out
from tests.api.conftest import World, at

SETTINGS = hypothesis.settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409"]
CONFIG = {
    "seed": 20261123,
    "checks": {
        # What a schema cannot say is refused too: inverted windows, naive times, the years 1 and 9999.
        "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "412", "422"]},
        "missing_required_header": {"expected-statuses": ["422", "428"]},
    },
}
KNOWN = {"instrument_id": "SEM", "facility_id": "LAB"}


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address that somebody gives stands for anything."""
    monkeypatch.setattr(way_out, "_resolve", lambda _host, _port: ())


def described(world: World, who: str, mode: GenerationMode) -> Any:
    """The document of the application, asked as somebody; half of all ids are ids that there are."""
    schema = schemathesis.openapi.from_wsgi(
        "/api/openapi.json", world.app, config=schemathesis.Config.from_dict(CONFIG)
    )
    booking = world.book(who="root")["id"]

    @schema.auth()
    class Token:
        def get(self, _case: Any, _context: Any) -> str:
            return world.tokens[who]

        def set(self, case: Any, data: str, _context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    @schema.hook("map_path_parameters")
    def known_paths(_context: Any, path_parameters: Any) -> Any:
        known = {**KNOWN, "booking_id": booking}
        return {
            name: known[name] if name in known and sum(map(ord, str(value))) % 2 else value
            for name, value in (path_parameters or {}).items()
        }

    if mode is GenerationMode.NEGATIVE:
        return schema  # to put its bodies right would make sense of nonsense

    @schema.hook("map_body")
    def possible_bodies(_context: Any, body: Any) -> Any:
        if not isinstance(body, dict) or not {"instrument_id", "start", "end"} <= set(body):
            return body
        number = zlib.crc32(repr(body).encode("utf-8", "replace"))
        if number % 4 == 0:
            return body
        start = number % 5000 / 4  # some quarter of an hour in the seven weeks ahead
        wish = {"instrument_id": "SEM", "start": at(start), "end": at(start + 0.25), "quantity": 1}
        return {name: value for name, value in body.items() if not name.endswith("_id")} | wish

    return schema


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("who", ["root", "cleo"])
def test_every_operation_answers_as_documented(world: World, who: str, mode: GenerationMode):
    asked = 0
    for found in described(world, who, mode).get_all_operations():
        operation = found.ok()

        @SETTINGS
        @hypothesis.seed(CONFIG["seed"])
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate()

        try:
            ask()
        except hypothesis.errors.Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, operation.label  # it takes nothing that could be wrong
            continue
        asked += 1
    assert asked >= 20


def test_the_links_of_a_booking_lead_to_it(world: World):
    document = world.app.test_client().get("/api/openapi.json").json
    operations = {
        operation["operationId"]: (method, path, operation)
        for path, found in document["paths"].items()
        for method, operation in found.items()
        if method != "parameters"
    }
    links = document["paths"]["/api/v1/bookings"]["post"]["responses"]["201"]["links"]
    assert len(links) == 7
    for number, link in enumerate(links.values()):
        assert link["parameters"] == {"booking_id": "$response.body#/id"}
        method, path, operation = operations[link["operationId"]]
        booking = world.book(9 + number, 10 + number, instrument="SEM-2")
        answer = world.ask(
            method.upper(),
            path.removeprefix("/api/v1").format(booking_id=booking["id"]),
            who="root",
            json={"decision": "approve"} if "approvals" in path else None if method == "get" else {},
            headers={"If-Match": "*"},
        )
        # The booking is there, whether or not its state allows the deed.
        assert answer.status_code in {200, 409}, path
        assert str(answer.status_code) in operation["responses"], path

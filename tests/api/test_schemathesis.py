"""Thousands of requests made from the OpenAPI document: no fault of the server, no answer outside the document."""

from typing import Any

import hypothesis
import hypothesis.stateful
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode

from tests.api.conftest import World, at

SETTINGS = hypothesis.settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONFIG = {
    "seed": 20261123,
    "checks": {
        # What a schema cannot say is refused too: inverted windows, naive times, the years 1 and 9999.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "412", "422"]},
        "missing_required_header": {"expected-statuses": ["422", "428"]},
    },
}
KNOWN = {"instrument_id": "SEM", "facility_id": "LAB"}


def described(world: World, who: str = "root") -> Any:
    """The document of the application, asked as somebody; half of all ids are ids that there are."""
    schema = schemathesis.openapi.from_wsgi(
        "/api/openapi.json", world.app, config=schemathesis.Config.from_dict(CONFIG)
    )
    booking = world.book(who="root")["id"]

    @schema.auth()
    class Token:
        def get(self, case: Any, context: Any) -> str:
            return world.tokens[who]

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    @schema.hook("map_path_parameters")
    def known_paths(context: Any, path_parameters: Any) -> Any:
        known = {**KNOWN, "booking_id": booking}
        return {
            name: known[name] if name in known and sum(map(ord, str(value))) % 2 else value
            for name, value in (path_parameters or {}).items()
        }

    @schema.hook("map_body")
    def known_bodies(context: Any, body: Any) -> Any:
        if isinstance(body, dict) and {"instrument_id", "start", "end"} <= set(body) and len(str(body)) % 2:
            return body | {"instrument_id": "SEM", "start": at(12), "end": at(13)}
        return body

    return schema


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["sense", "nonsense"])
@pytest.mark.parametrize("who", ["root", "cleo"])
def test_every_operation_answers_as_documented(world: World, who: str, mode: GenerationMode):
    asked = 0
    for found in described(world, who).get_all_operations():
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


def test_what_was_placed_is_read_changed_and_ended_by_links(world: World):
    machine = described(world).as_state_machine()
    hypothesis.stateful.run_state_machine_as_test(
        machine, settings=hypothesis.settings(SETTINGS, max_examples=15, stateful_step_count=8)
    )

"""`yiqi resolve alternatives`: one answer to each query, in their order."""

import json

import pytest
from click.testing import CliRunner

from booking.cli.resolve_alternatives import alternatives

INSTRUMENT = {
    "staffed": [[0, 96]],
    "blocked": [],
    "clean": 0,
    "grp": "dry",
    "site": 0,
    "region": 0,
    "rate": 100,
    "cls": "oven",
}
POOL = {
    "name": "tiny",
    "start": "2026-09-21",
    "H": 96,
    "floors": [],
    "org_cap": {},
    "budget": None,
    "short": 1000,
    "insts": [INSTRUMENT, {**INSTRUMENT, "rate": 60}],
    "reqs": [
        {
            "id": 0,
            "org": 0,
            "q": "university",
            "prio": 1,
            "value": 1,
            "late": 0,
            "win": [0, 96],
            "submit": 0,
            "consent": False,
            "subsidy": 0,
            "steps": [{"dur": 8, "attended": True, "insts": [[0, 0]], "lag": [0, 0]}],
        }
    ],
}
ONE = {"kind": "one", "inst": 0, "start": 40, "dur": 4, "attended": True, "cls": "oven", "region": 0}
ROUTE = {
    "kind": "route",
    "classes": ["oven", "oven"],
    "durs": [4, 8],
    "attended": [True, True],
    "after": 38,
    "lags": [[0, 0], [2, 10]],
    "region": 0,
}


@pytest.fixture
def asked(tmp_path):
    def ask(queries, pool=POOL):
        for name, document in (("pool", pool), ("plan", {"0": [[0, 38]]}), ("queries", queries)):
            (tmp_path / name).write_text(json.dumps(document))
        files = [str(tmp_path / name) for name in ("pool", "plan", "queries")]
        return CliRunner().invoke(alternatives, files)

    return ask


def test_each_query_has_its_answer(asked):
    one, route = json.loads(asked([ONE, ROUTE]).output)
    assert one["nearest"] == [[0, 34], [0, 46], [0, 33]]
    assert one["equal"] == [[1, 40]]
    assert one["ranked"][0] == {
        "why": "equal",
        "parts": [[1, 40, 4]],
        "shift": 0,
        "distance": 1,
        "price": -40.0,
        "lost": 0,
        "trouble": 4.0,
    }
    assert route == {"kind": "route", "places": [[1, 38], [1, 44]], "end": 52}


def test_a_document_of_another_form_is_told_in_a_line(asked):
    answer = asked([{"kind": "other"}])
    assert answer.exit_code == 1
    assert "has not the form" in answer.output

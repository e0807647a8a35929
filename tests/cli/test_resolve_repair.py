"""`yiqi resolve repair` and `refill`: ranked repairs after one outage or each of a list; who gets freed time."""

import json

from click.testing import CliRunner

from booking.cli.resolve_refill import refill
from booking.cli.resolve_repair import repair

INSTRUMENT = {
    "staffed": [[0, 960]],
    "blocked": [],
    "clean": 0,
    "grp": "dry",
    "site": 0,
    "region": 0,
    "rate": 100,
    "cls": "oven",
}
WISH = {
    "org": 0,
    "q": "university",
    "prio": 1,
    "value": 1,
    "late": 0,
    "win": [0, 20],
    "submit": 0,
    "consent": False,
    "subsidy": 0,
    "steps": [{"dur": 8, "attended": True, "insts": [[0, 0], [1, 0]], "lag": [0, 0]}],
}
POOL = {
    "start": "2026-09-21",
    "H": 960,
    "floors": [],
    "org_cap": {},
    "budget": None,
    "short": 1000,
    "insts": [INSTRUMENT, INSTRUMENT],
    "reqs": [WISH],
}


def run(tmp_path, event, *options):
    for name, told in (("pool", POOL), ("plan", {"0": [[0, 4]]}), ("event", event)):
        (tmp_path / name).write_text(json.dumps(told))
    return CliRunner().invoke(
        repair, [*(str(tmp_path / name) for name in ("pool", "plan", "event")), *options]
    )


def test_each_repair_says_what_it_costs_whom(tmp_path):
    done = run(tmp_path, {"kind": "breakdown", "down": [[0, 0, 96]]}, "--work", "5", "--seed", "3")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["hit"], found["bound"], found["seed"]) == ([0], 132, 3)
    best = found["repairs"][0]
    assert best["plan"] == {"0": [[1, 4]]}
    assert best["changes"] == [
        {
            "wish": 0,
            "hit": True,
            "before": [[0, 4]],
            "after": [[1, 4]],
            "slots": 0,
            "instruments": 1,
            "overdue": 0,
            "cost": 132,
        }
    ]


def test_a_list_of_outages_has_a_list_of_answers(tmp_path):
    done = run(tmp_path, [{"closed_day": 3}, {"down": [[1, 0, 96]]}])
    assert [found["hit"] for found in json.loads(done.stdout)] == [[], []]


def test_a_document_of_another_form_is_refused_in_one_line(tmp_path):
    done = run(tmp_path, {"down": [[0, 1]]})
    assert done.exit_code == 1
    assert "has not the form" in done.output


def test_freed_time_goes_to_who_waits(tmp_path):
    documents = {
        "pool": {**POOL, "insts": [INSTRUMENT], "reqs": [one_place(WISH), one_place(WISH), one_place(WISH)]},
        "plan": {"0": [[0, 4]], "1": [[0, 12]]},
        "notices": [[0, 0]],
    }
    for name, told in documents.items():
        (tmp_path / name).write_text(json.dumps(told))
    done = CliRunner().invoke(refill, [str(tmp_path / name) for name in documents])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["grants"] == [[{"wish": 2, "places": [[0, 0]], "shifts": {}, "worth": 1}]]
    assert found["plan"] == {"1": [[0, 12]], "2": [[0, 0]]}


def one_place(wish):
    return {**wish, "steps": [{**wish["steps"][0], "insts": [[0, 0]]}]}

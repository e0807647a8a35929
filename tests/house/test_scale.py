"""`docs/scale.md` names every table once, with its place."""

import re
from collections import Counter
from pathlib import Path

import pytest

from models import Base
from tests.bench.placement import MEANS, PLACES, Crossing

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")


def test_every_table_has_a_place():
    missing = set(Base.metadata.tables) ^ set(PLACES)
    assert missing == set(), (
        "give it a line in tests/bench/placement.py, then `python -m tests.bench placement --write`"
    )


def test_every_place_is_one_that_is_explained():
    assert {place.where for place in PLACES.values()} == set(MEANS)


def test_the_page_names_each_table_once():
    part = PAGE.partition("<!-- placement: written by the benchmark -->")[2].partition(
        "<!-- placement: end -->"
    )[0]
    named = Counter(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", part, re.MULTILINE))))
    assert named == Counter(list(Base.metadata.tables)), "python -m tests.bench placement --write"


@pytest.mark.parametrize(
    ("table", "target", "stays"),
    [
        ("occupation", "instrument", True),
        ("booking", "person", True),
        ("occupation", "hold", False),  # a person's, while the ledger is a facility's
        ("rule", "instrument", False),  # no reference table may point at a distributed one
    ],
)
def test_which_foreign_keys_stay(table, target, stays):
    assert Crossing(table, ("any",), target).sort.endswith("goes") is not stays

"""The README tells the truth about how to start and what can be set."""

import re
from dataclasses import fields

from booking.config import Settings
from tests.house.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `YIQI_(\w+)` \| (?:`([^`]*)`)? ?\| (.+) \|$", re.MULTILINE)


def test_it_opens_with_the_two_commands():
    opening = README.splitlines()[:8]
    assert [line for line in opening if line.startswith("./dev run ")]
    assert [line for line in opening if line.startswith("./dev test ")]


def test_every_setting_stands_in_it_with_its_default():
    rows = {name.lower(): (default, sentence) for name, default, sentence in ROW.findall(README)}
    assert rows == {field.name: (_shown(field.default), field.metadata["doc"]) for field in fields(Settings)}


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return str(default)

"""The locks give everybody the same packages, from wherever each machine may fetch them."""

import json
import re
import tomllib

import pytest

from tests.house.sources import ROOT

# The public index and where it keeps its files; a mirror's address would work on one machine only.
PUBLIC = {"pypi.org", "files.pythonhosted.org"}


FOLDERS = [".", "tests/judge"]
"""Where a lock of Python packages lies: our own, and that of the independent client of our CalDAV."""


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_python_lock_names_the_public_index_alone(folder):
    text = (ROOT / folder / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([^/\"]+)", text)) == PUBLIC


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_python_lock_knows_every_dependency(folder):
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
    lock = tomllib.loads((ROOT / folder / "uv.lock").read_text(encoding="utf-8"))
    [ours] = [package for package in lock["package"] if package["name"] == project["project"]["name"]]
    wanted = {_requirement(line) for line in project["project"]["dependencies"]}
    assert {_locked(line) for line in ours["metadata"]["requires-dist"]} == wanted
    for name, lines in project.get("dependency-groups", {}).items():
        assert {_locked(line) for line in ours["metadata"]["requires-dev"][name]} == set(
            map(_requirement, lines)
        )


def _requirement(line: str) -> tuple[str, frozenset[str]]:
    name, versions = re.fullmatch(
        r"([\w.-]+)(?:\[[\w,-]+\])?\s*(.*)", line.partition(";")[0].strip()
    ).groups()
    return re.sub(r"[-_.]+", "-", name).lower(), frozenset(versions.replace(" ", "").split(",")) - {""}


def _locked(line: dict[str, str]) -> tuple[str, frozenset[str]]:
    return line["name"], frozenset(line.get("specifier", "").replace(" ", "").split(",")) - {""}


def test_the_front_end_lock_names_no_address():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []


def test_the_front_end_lock_is_of_this_list_of_packages():
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    locked = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"][""]
    for kind in ("dependencies", "devDependencies"):
        assert locked[kind] == wanted[kind]

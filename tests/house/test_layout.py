"""Everything stands where a reader looks for it, and imports can only go down."""

import ast
import json
import subprocess
import sys
import tomllib

from tests.house.sources import ROOT, files

TOP = {
    *(".ci", ".gitignore", ".npmrc", "CHANGELOG.md", "Makefile", "README.md", "dev", "docs", "wsgi.py"),
    *("booking", "models", "migrations", "static", "templates", "tests"),
    *("pyproject.toml", "uv.lock", "package.json", "package-lock.json"),
}
EXEMPT = {"__init__", "__main__"}
NEVER_IN_THE_DOMAIN = {"flask", "werkzeug", "marshmallow", "babel", "apscheduler"} | {
    *("sqlalchemy", "alembic", "models"),
}
SERVER = """
import importlib, json, pkgutil, sys
import booking.api, booking.app, booking.jobs, booking.services, booking.web
for package in (booking.api, booking.jobs, booking.services, booking.web):
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if found.name != "booking.jobs.solver":
            importlib.import_module(found.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
IMPORT_ALL = """
import booking.domain, importlib, json, pkgutil, sys
for found in pkgutil.walk_packages(booking.domain.__path__, "booking.domain."):
    importlib.import_module(found.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} | {"booking.domain"})))
"""


def test_the_top_level_holds_what_it_should_and_nothing_else():
    assert {path.relative_to(ROOT).parts[0] for path in files()} == TOP


def test_no_third_party_code_is_kept():
    assert [path for path in files() if path.name.endswith((".min.js", ".min.css"))] == []
    assert not any("vendor" in path.relative_to(ROOT).parts for path in files())


def test_every_part_of_the_package_has_its_layer():
    parts = {
        path.relative_to(ROOT / "booking").parts[0].removesuffix(".py")
        for path in files()
        if path.is_relative_to(ROOT / "booking") and path.suffix == ".py"
    }
    assert parts - EXEMPT <= _layers()


def test_every_layer_exists():
    missing = [
        layer
        for layer in _layers()
        if not (ROOT / "booking" / layer / "__init__.py").exists()
        and not (ROOT / "booking" / f"{layer}.py").exists()
    ]
    assert missing == []


def _layers() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    names = {name.strip() for layer in layers for name in layer.split("|")}
    return {name.removeprefix("booking.") for name in names if name.startswith("booking.")}


def test_the_package_itself_is_only_a_docstring():
    # Importing any part of it runs this file: whatever stood here would be loaded into every part.
    tree = ast.parse((ROOT / "booking" / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


def test_the_domain_loads_no_framework():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "booking.domain" in loaded
    assert loaded & NEVER_IN_THE_DOMAIN == set()


def test_neither_server_nor_jobs_load_the_solver():
    done = subprocess.run(
        [sys.executable, "-c", SERVER], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "flask" in loaded
    assert loaded & {"ortools", "numpy", "pandas"} == set()

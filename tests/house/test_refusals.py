"""Every refusal and every fault of input, word for word in each language: figures, units, names, days, plurals."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from booking import wording
from booking.domain import rules
from booking.i18n import use_locale

HERE = Path(__file__).resolve().parent
BOOKING = HERE.parents[1] / "booking"
LOCALES = {"en": "en", "zh": "zh_Hans_CN"}
TOLD: dict[str, Any] = yaml.safe_load((HERE / "refusals.yaml").read_text())

REFUSALS = [
    pytest.param(code, case, language, id=f"{code}-{n}-{language}")
    for code, cases in TOLD["refusals"].items()
    for n, case in enumerate(cases, 1)
    for language in LOCALES
]
ERRORS, CELLS = (
    [
        pytest.param(code, case, language, id=f"{code}-{language}")
        for code, case in TOLD[kind].items()
        for language in LOCALES
    ]
    for kind in ("errors", "cells")
)


@pytest.mark.parametrize(("code", "case", "language"), REFUSALS)
def test_a_refusal_is_said_like_this(code, case, language):
    with use_locale(LOCALES[language]):
        assert wording.sentence(code, case["figures"]) == case[language]


@pytest.mark.parametrize(("code", "case", "language"), ERRORS)
def test_a_fault_of_a_field_is_said_like_this(code, case, language):
    with use_locale(LOCALES[language]):
        assert wording.error_sentence(code) == case[language]


@pytest.mark.parametrize(("code", "case", "language"), CELLS)
def test_a_fault_of_a_cell_is_said_like_this(code, case, language):
    with use_locale(LOCALES[language]):
        assert wording.cell_sentence(code, case.get("figures", {})) == case[language]


def test_none_is_left_out():
    assert TOLD["refusals"].keys() == wording.REASONS.keys()
    assert TOLD["errors"].keys() == wording.ERRORS.keys()
    assert TOLD["cells"].keys() == wording.CELLS.keys()


def test_whatever_the_code_refuses_has_its_sentence():
    reasons, errors = set(), set()
    for call in _calls():
        if call.func.id == "Reason":
            reasons |= set(_strings(call.args[0]))
        elif isinstance(call.args[0], ast.Dict):
            errors |= {code for value in call.args[0].values for code in _strings(value)}
    assert len(reasons) > 30
    assert reasons - wording.REASONS.keys() == set()
    assert len(errors) > 15
    assert errors - wording.ERRORS.keys() == set()


def _calls() -> Iterator[Any]:
    """Give every call that makes a reason of a refusal or says what is wrong with fields."""
    for path in BOOKING.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        known = {"Reason", "Invalid"} if path.samefile(rules.__file__) else set(_imported(nodes))
        for node in nodes:
            called = node.func if isinstance(node, ast.Call) and node.args else None
            if isinstance(called, ast.Name) and called.id in known:
                yield node


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Give which of the two a module takes from the rules; the resolver has reasons of its own."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == rules.__name__:
            yield from {"Reason", "Invalid"} & {name.name for name in node.names}


def _strings(node: ast.expr) -> Iterator[str]:
    """Give the codes that an expression may be: itself, or either side of a condition."""
    if isinstance(node, ast.IfExp):
        yield from _strings(node.body)
        yield from _strings(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value

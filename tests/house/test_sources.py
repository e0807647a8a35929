"""Habits of the code that no linter knows."""

import ast
import re
from collections import Counter

from tests.house.sources import ROOT, calls, files, last_name, python

CLOCKS = {"now", "utcnow", "today"}
CLOCKS_OF_TIME = {"time.time", "time.time_ns", "time.monotonic", "time.localtime", "time.gmtime"}
GETTEXT = {"_", "gettext", "ngettext", "lazy_gettext", "pgettext", "npgettext"}
WRITES_OCCUPATION = re.compile(
    r"\b(insert\s+into|delete\s+from|update|truncate)\s+occupation\b", re.IGNORECASE
)
# A state machine of hypothesis calls these itself.
CALLED_BY_HYPOTHESIS = {"rule", "invariant", "initialize"}
PRIVATE_PATHS = re.compile(r"\.\./shared\b|/(?:home|Users)/(?!yiqi\b)\w|/(?:root|work)/")


def test_only_the_edge_of_a_transaction_ends_it():
    enders = {
        name
        for name, tree in python("booking", "models")
        for called, call in calls(tree)
        if called in {"commit", "rollback"} and isinstance(call.func, ast.Attribute)
    }
    assert enders == {"booking/db.py"}


def test_only_one_file_writes_the_ledger_of_time():
    writers = {name for name, tree in python("booking", "models") if _writes_occupation(tree)}
    assert writers == {"booking/services/occupation.py"}


def _writes_occupation(tree: ast.Module) -> bool:
    for called, call in calls(tree):
        subject = last_name(call.args[0]) if call.args else ""
        if called == "Occupation" or (called in {"insert", "update", "delete"} and subject == "Occupation"):
            return True
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return any(isinstance(text, str) and WRITES_OCCUPATION.search(text) for text in texts)


def test_the_clock_is_read_at_the_edges_only():
    readers = [
        f"{name}:{call.lineno}"
        for name, tree in python("booking/domain", "booking/services", "models")
        for called, call in calls(tree)
        if called in CLOCKS or ast.unparse(call.func) in CLOCKS_OF_TIME
    ]
    assert readers == []


def test_what_asserts_is_a_test_or_called_by_one():
    trees = list(python("tests"))
    used = Counter(name for _, tree in trees for name in _names(tree))
    loose = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in trees
        for function in _functions(tree)
        if _asserts(function)
        and not function.name.startswith("test_")
        and not used[function.name]
        and not _called_by_hypothesis(function)
    ]
    assert loose == []


def test_tests_are_where_they_are_found():
    lost = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in python("tests")
        for function in _functions(tree)
        if function.name.startswith("test_") and not path.rpartition("/")[2].startswith("test_")
    ]
    assert lost == []


def test_no_test_hides_another_of_its_name():
    twice = [
        f"{path} {name}"
        for path, tree in python("tests")
        for scope in ast.walk(tree)
        if isinstance(scope, ast.Module | ast.ClassDef)
        for name, times in Counter(
            node.name for node in scope.body if isinstance(node, ast.FunctionDef)
        ).items()
        if times > 1 and name.startswith("test_")
    ]
    assert twice == []


def test_nothing_waits_by_sleeping():
    sleepers = {name for name, tree in python("tests") for called, _ in calls(tree) if called == "sleep"}
    assert {name for name in sleepers if not name.startswith("tests/bench/")} == set()


def test_messages_are_whole_sentences_known_before_the_program_runs():
    made_up = [
        f"{name}:{call.lineno}"
        for name, tree in python("booking")
        for called, call in calls(tree)
        if called in GETTEXT and not all(_is_plain(argument) for argument in call.args[:1])
    ]
    assert made_up == []


def _is_plain(node: ast.expr) -> bool:
    """Tell whether a message is a literal; a name or attribute may hold one marked for translation."""
    return not isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call)


def test_no_path_of_somebodys_machine_is_kept():
    texts = (
        path for path in files() if path.suffix not in {".png", ".jpg", ".ico", ".woff2", ".xlsx", ".mo"}
    )
    told = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in texts
        if path.name != "uv.lock"
        for found in PRIVATE_PATHS.finditer(path.read_text(encoding="utf-8"))
    ]
    assert told == []


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _asserts(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(function))


def _called_by_hypothesis(function: ast.FunctionDef) -> bool:
    decorators = (node.func if isinstance(node, ast.Call) else node for node in function.decorator_list)
    return any(last_name(node) in CALLED_BY_HYPOTHESIS for node in decorators)


def _names(tree: ast.Module) -> list[str]:
    """Give every name that is used: as a variable, an attribute, or a fixture asked for."""
    names = [last_name(node) for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    return names + [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]

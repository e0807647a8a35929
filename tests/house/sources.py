"""What the house tests read: the checkout's own files and their syntax trees."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def files() -> tuple[Path, ...]:
    """Give every file of the checkout that git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(sorted({path for path in paths if path.is_file()}))


def python(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Give path and syntax tree of each Python file in the folders or files named."""
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and any(
            name == folder or name.startswith(f"{folder}/") for folder in folders
        ):
            yield name, _tree(path)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Give the last name of what is called, and the call: `a.b.commit()` is `commit`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := last_name(node.func)):
            yield name, node


def last_name(node: ast.AST) -> str:
    """Give `c` of `a.b.c` and of `c`; nothing of other expressions."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""

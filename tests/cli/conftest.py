"""Consoles for the tests of commands."""

from collections.abc import Callable, Iterator

import pytest

from tests.cli.console import Console, consoles


@pytest.fixture
def console(database_url, monkeypatch, capsys, tmp_path) -> Iterator[Console]:
    """The console of a server with an empty database, once for each engine."""
    yield from consoles(monkeypatch, capsys, tmp_path, database_url)


@pytest.fixture
def console_on(monkeypatch, capsys, tmp_path) -> Callable[[str], Console]:
    """Give the console of a server on any database."""
    return lambda url: next(consoles(monkeypatch, capsys, tmp_path, url))

"""One pair of servers for the tests of this folder that leave it whole."""

from collections.abc import Iterator
from typing import Any

import pytest

from booking import db
from tests.province.pair import Pair, pair


@pytest.fixture(scope="session")
def servers() -> Iterator[Pair]:
    with pair() as running:
        db.upgrade(running.direct_url)
        yield running


@pytest.fixture
def province(servers: Pair) -> dict[str, Any]:
    """The settings of a node."""
    return {
        "database_url": servers.url,
        "direct_database_url": servers.direct_url,
        "read_database_url": servers.read_url,
        "read_lag_seconds": 3600,  # there is no jobs process, whose sign of life would show that it keeps up
    }

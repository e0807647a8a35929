"""What tests of feeds share."""

from datetime import datetime

import pytest
from flask import Flask

from tests.feeds.world import World, build


@pytest.fixture
def world(app: Flask, now: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    return build(app, now, monkeypatch)


@pytest.fixture
def world_on_both(app_on_both: Flask, now: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    return build(app_on_both, now, monkeypatch)

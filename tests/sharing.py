"""What the tests of a process share, since making it anew costs more than most of them do.

Nothing of what a test did is in it: what SQLAlchemy has compiled, what Jinja has, and how requests are led to views.
"""

import logging
import math
from typing import Any

import sqlalchemy
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

from booking import db, i18n
from booking.config import Settings
from booking.http.admission import Line
from booking.services.crowd import Crowd

STATEMENTS = 3000

_known: dict[str, tuple[Dialect, LRUCache[Any, Any]]] = {}


def create_engine(*given: Any, **how: Any) -> Engine:
    """Make an engine as SQLAlchemy does; it knows what others of its kind have compiled, as it would after a while."""
    engine = sqlalchemy.create_engine(*given, **how)
    kind = type(engine.dialect).__name__
    if kind not in _known or _known[kind][0].default_schema_name is None:  # that one has never met its server
        _known[kind] = engine.dialect, LRUCache(STATEMENTS)
    engine.dialect, engine._compiled_cache = _known[kind]
    return engine


class Applications:
    """The application of all tests that neither change its settings nor itself, as if it were built for each."""

    def __init__(self) -> None:
        self._app: Flask | None = None
        self._looks: object = None

    def on(self, settings: Settings) -> Flask:
        """Give it on the settings' database."""
        if self._app is None or self._looks != _looks(self._app):  # a test has changed it
            self._app = build(settings)
            self._looks = _looks(self._app)
        else:
            _as_new(self._app, settings)
        return self._app


def build(settings: Settings) -> Flask:
    """Build an application that knows the compiled templates of those before it."""
    from booking.app import create_app

    app = create_app(settings)
    app.testing = True
    app.jinja_env.bytecode_cache = _compiled
    return app


def _as_new(app: Flask, settings: Settings) -> None:
    """Do what building it would do again, and forget what it counted and kept."""
    db.init(settings.url, pool_size=settings.pool_size, **settings.connecting)
    i18n.set_default(settings.default_locale)
    i18n.pretend(settings.pseudo_locale)
    logging.getLogger("booking").setLevel(settings.log_level.upper())
    app.extensions["yiqi"] = settings
    app.extensions["yiqi-crowd"] = Crowd()
    app.extensions.pop("yiqi_health", None)
    line = app.extensions["yiqi-line"]
    vars(line).update(vars(Line(settings.patience_seconds or math.inf)))


def _looks(app: Flask) -> object:
    """Give what a test may change of an application."""
    return (
        dict(app.config),
        app.static_folder,
        sorted(vars(app)),
        [rule.rule for rule in app.url_map.iter_rules()],
        dict(app.view_functions),
        {name: list(found) for name, found in app.before_request_funcs.items()},
        {name: list(found) for name, found in app.after_request_funcs.items()},
        dict(app.jinja_env.globals),
        dict(app.jinja_env.filters),
    )


class _Compiled(BytecodeCache):
    """Compiled templates for every application of the process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if kept := self._kept.get(bucket.key + bucket.checksum):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


_compiled = _Compiled()

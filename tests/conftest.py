"""Databases, the application and a fixed clock for every test.

Both engines come by the fixture `dialect`: whoever asks for `engine`, `session` or `database_url` runs twice.
"""

import contextlib
import functools
import gc
import ipaddress
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from booking import db, i18n
from booking.config import Settings
from tests import postgres, sharing
from tests.loaded import loaded
from tests.servers import GunicornServer

pytest_plugins = ["tests.browser"]

db.create_engine = sharing.create_engine

# A busy machine is no fault of the code: neither an example nor its making has a time limit.
SLOW = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("yiqi", deadline=None, suppress_health_check=SLOW, print_blob=True)
hypothesis.settings.load_profile("yiqi")


@pytest.fixture
def now() -> datetime:
    """A Monday, 16:00 in Guangdong."""
    return datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


# --- databases ----------------------------------------------------------------------------------


class Databases:
    """Fresh migrated databases, copied from a template that is migrated once."""

    def __init__(self, folder: Path, port: int | None) -> None:
        self._folder = folder
        self._port = port
        self._copies = 0
        self._shared: dict[str, tuple[str, Engine]] = {}
        self._stack = contextlib.ExitStack()

    def clone(self, dialect: str) -> str:
        """Make a fresh database and give its URL."""
        if dialect == "postgresql":
            return self.cluster.clone(db.upgrade)
        self._copies += 1
        copy = self._folder / f"{self._copies}.sqlite3"
        shutil.copyfile(self._sqlite_template, copy)
        return f"sqlite:///{copy}"

    def drop(self, url: str) -> None:
        if url.startswith("postgresql"):
            self.cluster.drop(url)
            return
        for path in self._folder.glob(Path(url).name + "*"):  # -wal and -shm too
            path.unlink()

    def shared(self, dialect: str) -> Engine:
        """Give the database of tests that leave nothing behind."""
        if dialect not in self._shared:
            url = self.clone(dialect)
            self._shared[dialect] = url, db.make_engine(url)
        return self._shared[dialect][1]

    def forget_shared(self, dialect: str) -> None:
        url, engine = self._shared.pop(dialect)
        engine.dispose()
        self.drop(url)

    def close(self) -> None:
        for dialect in list(self._shared):
            self.forget_shared(dialect)
        self._stack.close()

    @functools.cached_property
    def cluster(self) -> postgres.Cluster:
        if self._port:
            return postgres.Cluster(self._port)
        return self._stack.enter_context(postgres.server())

    @functools.cached_property
    def _sqlite_template(self) -> Path:
        template = self._folder / "template.sqlite3"
        url = f"sqlite:///{template}"
        db.upgrade(url)
        engine = db.make_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        return template


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    port = getattr(request.config, "workerinput", {}).get("postgres_port")
    with postgres.quick_folder("sqlite") as folder:
        found = Databases(folder, port)
        yield found
        found.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Share one PostgreSQL server among the processes of pytest-xdist."""
    node.workerinput["postgres_port"] = _cluster_of(node.config).port


_cluster_key = pytest.StashKey[postgres.Cluster]()


def _cluster_of(config: pytest.Config) -> postgres.Cluster:
    if _cluster_key not in config.stash:
        stack = contextlib.ExitStack()
        config.stash[_cluster_key] = stack.enter_context(postgres.server())
        config.add_cleanup(stack.close)
    return config.stash[_cluster_key]


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def engine(databases: Databases, dialect: str) -> Iterator[Engine]:
    """An engine on a migrated, empty database; what a test commits is gone after it."""
    shared = databases.shared(dialect)
    commits: list[object] = []
    note = commits.append  # one object, so that it can be removed again
    event.listen(shared, "commit", note)
    yield shared
    event.remove(shared, "commit", note)
    if commits:
        databases.forget_shared(dialect)


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session that may write; all is rolled back after the test."""
    with Session(engine.execution_options(write=True), expire_on_commit=False) as session:
        yield session
        session.rollback()


@pytest.fixture
def database_url(databases: Databases, dialect: str) -> Iterator[str]:
    """A migrated, empty database of the test's own, for real commits, threads and servers."""
    yield from _own(databases, dialect)


@pytest.fixture
def sqlite_url(databases: Databases) -> Iterator[str]:
    yield from _own(databases, "sqlite")


@pytest.fixture
def postgresql_url(databases: Databases) -> Iterator[str]:
    yield from _own(databases, "postgresql")


def _own(databases: Databases, dialect: str) -> Iterator[str]:
    url = databases.clone(dialect)
    yield url
    databases.drop(url)


# --- the application ----------------------------------------------------------------------------


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a test: all files in its own folder, no mail leaves, no limits unless asked for."""

    def make(url: str, **changed: Any) -> Settings:
        settings = replace(
            Settings(),
            instance=tmp_path / "instance",
            database_url=url,
            secret_key="a key for tests, and for tests alone",
            rate_limits=False,
            requests_per_minute=0,
        )
        return replace(settings, **changed)

    return make


@pytest.fixture
def make_app(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Flask]]:
    """Give the application on a database, one at a time in a process; keywords change settings."""

    def make(url: str, **changed: Any) -> Flask:
        settings = make_settings(url, **changed)
        return sharing.build(settings) if changed else _applications.on(settings)

    yield make
    db.dispose()


_applications = sharing.Applications()


@pytest.fixture
def app_of_its_own(make_settings: Callable[..., Settings], sqlite_url: str) -> Iterator[Flask]:
    """The application on an empty SQLite database for a test that changes the application itself."""
    yield sharing.build(make_settings(sqlite_url))
    db.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask], sqlite_url: str) -> Flask:
    """The application on an empty SQLite database of the test's own."""
    return make_app(sqlite_url)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def app_on_both(make_app: Callable[..., Flask], database_url: str) -> Flask:
    """The application on an empty database, once for each engine."""
    return make_app(database_url)


@pytest.fixture(autouse=True)
def _language_of_a_fresh_process() -> None:
    """An application that an earlier test built has set the language of the whole process."""
    i18n.set_default(i18n.SOURCE)
    i18n.choose(None)


@pytest.fixture(scope="session", autouse=True)
def _servers_are_forked() -> Iterator[None]:
    GunicornServer.forked = True
    yield
    loaded.close()


# --- the outer world ----------------------------------------------------------------------------


class OutsideWorld(RuntimeError):
    """A test tried to leave the machine. No OSError, so that no code takes it for a network fault."""


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))
        yield


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_outside(arguments[-1][0])
        return method(self, *arguments)

    return guarded


def _guarded_lookup(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(host: str | bytes | None, *arguments: Any, **keywords: Any) -> Any:
        _refuse_outside(host.decode() if isinstance(host, bytes) else host)
        return method(host, *arguments, **keywords)

    return guarded


def _refuse_outside(host: str | None) -> None:
    if host in (None, "", "localhost"):
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise OutsideWorld(f"tests reach only this machine, not {host}")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among what is only now made, and nearly all stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end, all modules and tests; it took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests of the browser in one process, since they share a server that was filled for them."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group(f"browser {item.path.stem}"))

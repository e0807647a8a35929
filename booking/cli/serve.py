"""`yiqi serve`: the web server, and the jobs beside it where that is wanted."""

import contextlib
import gc
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.workers.gthread import ThreadWorker

from booking.cli import read_settings, table
from booking.config import BadSetting, Settings

PAUSE = 5.0
"""Seconds before jobs that died are started again."""


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), envvar="PORT", help="Instead of the one of YIQI_BIND.")
@click.option("--with-jobs", is_flag=True, help="Run `yiqi jobs` beside the server, and stop both together.")
def serve(*, port: int | None, with_jobs: bool) -> None:
    """Serve the pages, the API and the feeds.

    TERM stops the server when it has answered what it took in, HUP starts its workers anew without losing a
    request. Settings: YIQI_BIND, YIQI_WORKERS, YIQI_THREADS, YIQI_GRACEFUL_SECONDS.
    """
    settings = read_settings()
    host, taken = _address(settings.bind)
    address = host, port or taken
    _check_free(*address)
    metrics = settings.instance.resolve() / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True)
    # Read by prometheus_client when a worker loads it: the counts of all workers lie there.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    jobs = _Jobs() if with_jobs else None
    server = _Server(settings, address, jobs)
    if server.cfg.workers > 1:  # one alone has nobody to share with but the master
        _Modules.load()
    server.run()


class _Modules:
    """The modules of the application, loaded before workers are made, which so share their memory.

    Workers that are made anew load our own as they are then; other packages stay as they were at the start.
    """

    _OURS = ("booking", "models", "wsgi")
    _COUNTED = ("prometheus_client",)
    """It keeps what our modules made when they were loaded, and takes nothing twice."""

    before: frozenset[str] = frozenset()

    @classmethod
    def load(cls) -> None:
        cls.before = frozenset(sys.modules)
        gc.disable()  # as in wsgi.py
        # By name, as the server does, and not before the metrics know their folder.
        importlib.import_module("booking.app")
        gc.freeze()  # a collection in a worker would copy every page that it only looks at
        gc.enable()

    @classmethod
    def forget(cls, _arbiter: Any) -> None:
        """Let the next workers load our modules anew."""
        if not cls.before:
            return
        for name in set(sys.modules) - cls.before:
            if name.partition(".")[0] in (*cls._OURS, *cls._COUNTED):
                del sys.modules[name]


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with our settings and none of its own files or command line."""

    def __init__(self, settings: Settings, address: tuple[str, int], jobs: "_Jobs | None") -> None:
        self._settings = settings
        self._address = address
        self._jobs = jobs
        super().__init__(prog="yiqi serve")

    def load_config(self) -> None:
        host, port = self._address
        settings = self._settings
        options: dict[str, Any] = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "worker_class": _Worker,
            "workers": settings.workers or (1 if settings.sqlite else 2),
            "threads": settings.threads,
            "timeout": 60,
            "graceful_timeout": settings.graceful_seconds,
            "keepalive": 15,
            # By default one path for each user of the machine: two instances would collide.
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "yiqi",
            "when_ready": self._when_ready,
            "post_worker_init": self._when_worker_ready,
            "on_reload": _Modules.forget,
            "on_exit": self._on_exit,
        }
        if Path("/dev/shm").is_dir():  # noqa: S108 - a heartbeat must not wait for a disk
            options["worker_tmp_dir"] = "/dev/shm"  # noqa: S108
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        try:
            from wsgi import app  # noqa: PLC0415
        except Exception as error:
            if type(error).__name__ != "NotReady":
                raise
            # One line and exit code 4 instead of a traceback; the server then stops by itself.
            raise AppImportError(f"yiqi: {error}") from None
        return app

    def _when_ready(self, _arbiter: Any) -> None:
        if self._jobs:
            self._jobs.start()

    def _when_worker_ready(self, worker: Any) -> None:
        # Ctrl+C reaches every process of the terminal, and the master asks its workers to end besides: the
        # second signal, met while the first is handled, leaves a worker waiting for a lock that it holds.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if worker.age == 1:
            click.echo(_greeting(self._settings, self._address))

    def _on_exit(self, _arbiter: Any) -> None:
        if self._jobs:
            self._jobs.stop(self._settings.graceful_seconds)


class _Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker of threads, one that loses nobody who stands at the door when it closes."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """Let people in or not; a worker that ends lets those in who have come, and then shuts its door.

        gunicorn keeps the door open without letting anybody in until the last request is answered, and then
        throws all out who came meanwhile. Shut at once, it turns them away before they have said anything.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            listener.setblocking(False)
            before = -1
            while self.nr_conns != before:
                before = self.nr_conns
                self.accept(listener)
            listener.close()


_spawning = threading.Lock()
"""Held while a process is made: a worker forked meanwhile would keep open the pipe that `Popen` waits to see shut."""

os.register_at_fork(
    before=_spawning.acquire, after_in_parent=_spawning.release, after_in_child=_spawning.release
)


class _Jobs:
    """A `yiqi jobs` process beside the server, started again should it die."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._keep, name="jobs", daemon=True).start()

    def stop(self, patience: float) -> None:
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
        process.kill()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            # It reads from the pipe, whose end tells it that we are gone, however we went. A session of its
            # own keeps Ctrl+C from it, so that it ends after the server.
            with _spawning:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "booking", "jobs", "--with-parent"],
                    stdin=subprocess.PIPE,
                    start_new_session=True,
                )
            self._process.wait()
            if not self._stopping.wait(PAUSE):
                click.echo("yiqi: the jobs process ended, starting it again", err=True)


def _address(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise BadSetting(f"YIQI_BIND: {bind!r} is no address:port")
    return host.strip("[]"), int(port)


def _check_free(host: str, port: int) -> None:
    """Say at once that the port is taken; the server itself would try for a while."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(
                f"{host}:{port} cannot be used ({error.strerror}); --port takes another one"
            ) from error


def _greeting(settings: Settings, address: tuple[str, int]) -> str:
    host, port = address
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    lines = [f"Yiqi is ready: http://{f'[{shown}]' if ':' in shown else shown}:{port}"]
    return "\n".join([*lines, *_demo_people(settings)])


def _demo_people(settings: Settings) -> list[str]:
    """Give how to sign in as the demo people; nothing unless all of them are there."""
    from booking.db import reading  # noqa: PLC0415 - the master process, which loads this file, never needs it
    from booking.services import accounts, seeds  # noqa: PLC0415

    if settings.production:
        return []
    with reading() as session:
        there = all(accounts.by_email(session, email=email) for email, _ in seeds.PEOPLE)
    if not there:
        return []
    return [f"Sign in with the password {seeds.PASSWORD} as", table([("", *row) for row in seeds.PEOPLE])]

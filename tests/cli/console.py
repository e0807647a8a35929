"""Runs `yiqi …` in this process, with settings of a test."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from booking import cli, db


@dataclass(frozen=True)
class Told:
    """What the command said, and its exit code."""

    code: int
    out: str
    err: str


class Console:
    """The console of one server."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **settings: str
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._settings = {f"YIQI_{name.upper()}": str(value) for name, value in settings.items()}

    def run(self, *arguments: object, code: int | None = 0) -> Told:
        """Run a command; it must end with this code, None for any."""
        self._capsys.readouterr()
        with self._monkeypatch.context() as patch:
            for name, value in self._settings.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main([str(argument) for argument in arguments])
        db.dispose()
        out, err = self._capsys.readouterr()
        told = Told(int(ended.value.code or 0), out, err)
        assert code is None or told.code == code, told
        return told


def consoles(monkeypatch, capsys, tmp_path, url: str) -> Iterator[Console]:
    """Give the console of a server on this database."""
    for name in ("YIQI_DATABASE_URL", "YIQI_INSTANCE"):
        monkeypatch.delenv(name, raising=False)
    yield Console(monkeypatch, capsys, database_url=url, instance=tmp_path / "instance")
    db.dispose()

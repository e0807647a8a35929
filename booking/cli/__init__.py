"""The console command `yiqi`."""

import importlib
import sys
from datetime import UTC, datetime
from typing import Any

import click

from booking import config
from booking.config import BadSetting, Settings

COMMANDS = {
    "setup": "booking.cli.setup:setup",
    "serve": "booking.cli.serve:serve",
    "jobs": "booking.cli.jobs:jobs",
    "check": "booking.cli.check:check",
    "doctor": "booking.cli.doctor:doctor",
    "config": "booking.cli.settings:settings",
    "db": "booking.cli.database:database",
    "users": "booking.cli.users:users",
    "seed": "booking.cli.seed:seed",
    "import": "booking.cli.data:import_",
    "backup": "booking.cli.backup:backup",
    "restore": "booking.cli.backup:restore",
    "mail": "booking.cli.mail:mail",
    "invariants": "booking.cli.invariants:invariants",
    "resolve": "booking.cli.resolve:resolve",
}
"""Where each command lives; only the one that is asked for is loaded."""

WRONG = 1
"""Exit code: it did not work, or something was found that is wrong."""

USAGE = 2
"""Exit code: the command, or a setting, makes no sense."""


class Commands(click.Group):
    """A group that loads its commands when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order of a server's life."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the command of this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings come from the environment, YIQI_…; `yiqi config show` lists them."
    " Exit codes: 0 done; 1 it did not work, or something is wrong; 2 a command or setting makes no sense.",
)
@click.version_option(package_name="yiqi", prog_name="yiqi")
def cli() -> None:
    """Find, book and share instruments: the server's console."""


def main(args: list[str] | None = None) -> None:
    """Run the command, and say in one line what went wrong where something did."""
    try:
        status = cli.main(args, prog_name="yiqi", standalone_mode=False)
    except BadSetting as error:
        _end(f"a setting cannot be used. {error}", USAGE)
    except click.UsageError as error:
        error.show()
        sys.exit(USAGE)
    except click.ClickException as error:
        _end(error.format_message(), WRONG)
    except click.Abort:
        _end("stopped", WRONG)
    except Exception as error:
        known = _said(error)
        if known is None:
            raise
        _end(known, WRONG)
    sys.exit(status if isinstance(status, int) else 0)


def read_settings() -> Settings:
    """Read the settings, and warn of variables that mean nothing."""
    for name in config.unknown():
        click.echo(f"yiqi: warning: {name} is no setting; is it misspelt?", err=True)
    return Settings.from_env()


def open_database(settings: Settings) -> None:
    """Use the settings' database from now on."""
    from booking import db  # noqa: PLC0415 - loads SQLAlchemy, which not every command needs

    db.init(settings.url, pool_size=2, **settings.connecting)


def utc_now() -> datetime:
    """Give the time: the clock of all commands."""
    return datetime.now(UTC)


def _end(what: str, code: int) -> None:
    click.echo(f"yiqi: {what}", err=True)
    sys.exit(code)


def _said(error: Exception) -> str | None:
    """Give one line for the refusals of services and the database; other errors are faults of ours."""
    from booking import wording  # noqa: PLC0415
    from booking.db import Unavailable  # noqa: PLC0415
    from booking.domain.access import NotFound  # noqa: PLC0415
    from booking.domain.rules import Invalid, Refused  # noqa: PLC0415

    if isinstance(error, Unavailable):
        return f"the database cannot be reached: {error}"
    if isinstance(error, NotFound):
        return f"there is no {error.noun} {error.key}"
    if isinstance(error, Invalid):
        return "; ".join(f"{name}: {wording.error_sentence(code)}" for name, code in error.errors.items())
    if isinstance(error, Refused):
        return " ".join(wording.sentence(reason.code, reason.params) for reason in error.reasons)
    return None


def table(rows: list[tuple[Any, ...]]) -> str:
    """Lay rows out in columns."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))] if rows else []
    return "\n".join(
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )

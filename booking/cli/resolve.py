"""`yiqi resolve`: the resolver by hand, on JSON documents; nothing of the database is read or written."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

COMMANDS = {
    "pool": "booking.cli.resolve:pool",
    "repair": "booking.cli.resolve_repair:repair",
    "refill": "booking.cli.resolve_refill:refill",
    "alternatives": "booking.cli.resolve_alternatives:alternatives",
}
"""Where each command lives; only the one that is asked for is loaded."""


class Commands(click.Group):
    """A group that loads its commands when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names."""
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


@click.group(cls=Commands)
def resolve() -> None:
    """Allocate a pool, repair a plan, fill freed time, look for alternatives: JSON in, JSON out."""


def document(path: Path) -> Any:
    """Read a JSON document; `-` is the standard input."""
    try:
        return json.loads(sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise click.ClickException(f"{path} is no JSON document: {error}") from error


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--seconds", type=click.FloatRange(min=0), help="Wall time; the engine's own choice without it."
)
@click.option(
    "--work", type=click.FloatRange(min=0), help="Counted work instead: the same plan on every machine."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--quiet", is_flag=True, help="Say nothing on the standard error.")
def pool(file: Path, seconds: float | None, work: float | None, seed: int, quiet: bool) -> None:
    """Allocate the pool of FILE; the plan goes to the standard output, its figures to the standard error."""
    from booking.domain.resolution import documents, solve  # noqa: PLC0415 - NumPy, for this command only

    told = document(file)
    try:
        asked = documents.read_pool(told)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise click.ClickException(f"{file} is no pool: {error!r}") from error

    def say(progress: solve.Progress) -> None:
        bound = "" if progress.bound is None else f" of at most {progress.bound}"
        click.echo(f"{progress.share:4.0%}  {progress.phase}: {progress.objective}{bound}", err=True)

    found = solve.solve(asked, seconds=seconds, work=work, seed=seed, on_progress=None if quiet else say)
    click.echo(json.dumps(documents.write_plan(found.plan)))
    if not quiet:
        click.echo(_figures(found), err=True)


def _figures(found: Any) -> str:
    """The figures that a round publishes."""
    caps = ", ".join(map(str, found.caps_bound)) or "none"
    missing = ", ".join(f"{slots / 4:g}" for slots in found.missing) or "no floors"
    return "\n".join(
        (
            f"objective {found.objective}, bound {found.bound}, gap {found.gap:.2%}, by {found.method}",
            f"served {found.served}, {found.slots / 4:g} hours, subsidies {found.subsidy} yuan",
            f"hours that floors miss: {missing}",
            f"caps that bound: {caps}; budget bound: {'yes' if found.budget_bound else 'no'}",
            f"seed {found.seed}, input {found.fingerprint}, {found.seconds:.1f} s",
        )
    )

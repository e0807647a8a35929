"""`yiqi db`: the tables."""

import click

from booking import db
from booking.cli import read_settings


@click.group()
def database() -> None:
    """Bring the tables to the form that a release needs."""


@database.command()
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Migrate to REVISION, the newest by default; all of it or nothing."""
    db.upgrade(read_settings().direct_url, _known(db.migrations(), revision))
    click.echo(f"The database is at {db.newest_migration() if revision == 'head' else revision}.")


@database.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the tables back to REVISION, for an older release; what newer tables held is lost."""
    db.downgrade(read_settings().direct_url, _known(["base", *db.migrations()], revision))
    click.echo(f"The database is at {revision}.")


def _known(revisions: list[str], wanted: str) -> str:
    if wanted not in {"head", *revisions}:
        raise click.UsageError(f"there is no revision {wanted}; there are {', '.join(revisions)}")
    return wanted

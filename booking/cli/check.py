"""`yiqi check`: whether the server could start."""

import click

from booking import db
from booking.cli import WRONG, open_database, read_settings, utc_now
from booking.config import Settings
from booking.gateways import files
from booking.services import health
from booking.services.health import Fault

REMEDIES = {
    "migrations": "run `yiqi db upgrade`; if the database is ahead, install the newer release",
    "guards": "run `yiqi db upgrade`, then `yiqi invariants`",
    "read_only": "see that the server's user may write the database, and that its disk is not full",
    "durability": "PostgreSQL: set fsync and synchronous_commit to on",
    "role": "ALTER ROLE … SET …, as docs/deploy.md says for PgBouncer, then let its connections be made anew",
    "disk": "make room, or move YIQI_INSTANCE",
    "outbox": "see that `yiqi jobs` runs and that the mail server of YIQI_SMTP_URL answers",
}
"""What to do about each fault."""


@click.command()
def check() -> int:
    """Check settings, database, migrations and guards; exit code 1 if the server should not start so."""
    settings = read_settings()
    faults = look(settings)
    for fault in faults:
        click.echo(f"✗ {fault.code}: {fault.detail}")
        click.echo(f"    {REMEDIES[fault.code]}")
    if not faults:
        click.echo("✓ settings, database, migrations and guards are as they must be")
    return WRONG if faults else 0


def look(settings: Settings) -> list[Fault]:
    """Open the database and give what is wrong with it."""
    open_database(settings)
    with db.rehearsal() as session:
        found = health.vitals(session, newest=db.newest_migration(), now=utc_now())
    return health.faults(
        found,
        newest=db.newest_migration(),
        free=files.free_bytes(settings.instance),
        production=settings.production,
        pooled=settings.pooled,
    )

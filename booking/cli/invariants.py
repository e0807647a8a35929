"""`yiqi invariants`: whether everything in the database is as it must be."""

import click

from booking.cli import WRONG, open_database, read_settings, utc_now
from booking.db import reading
from booking.services import backups
from booking.services import invariants as service
from booking.services.invariants import Finding


@click.command()
def invariants() -> int:
    """Check the ledger of time, the bookings and their events, and name what is wrong.

    Reads the whole database in one snapshot and changes nothing. Exit code 1 if anything is wrong.
    """
    open_database(read_settings())
    return WRONG if report() else 0


def report() -> int:
    """Make all checks on the open database, print what they find and give the number of certain faults."""
    wrong = 0
    with reading() as session:
        backups.snapshot(session)
        for finding in service.check(session, now=utc_now()):
            _print(finding)
            wrong += finding.wrong
    click.echo("Everything is as it must be." if not wrong else f"{wrong} things are wrong.")
    return wrong


def _print(finding: Finding) -> None:
    click.echo(f"{'✗' if finding.wrong else '!' if finding.count else '✓'} {finding.check}")
    for fault in finding.faults:
        click.echo(f"    {'perhaps ' if fault.doubtful else ''}{fault.code}: {fault.detail}")
    if finding.count > len(finding.faults):
        click.echo(f"    … and {finding.count - len(finding.faults)} more")

"""`yiqi jobs`: the jobs process."""

import importlib

import click

from booking.cli import read_settings


@click.command()
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop at the end of standard input.")
def jobs(*, with_parent: bool) -> None:
    """Send mail and reminders, release holds, tidy up.

    Any number may run on one database: one of them works, the others wait to take over.
    """
    # By name, as `serve` loads the web application: edges do not import each other.
    importlib.import_module("booking.jobs.timetable").main(read_settings(), with_parent=with_parent)

"""`yiqi config`: the settings."""

from dataclasses import fields

import click

from booking.cli import read_settings
from booking.config import Settings


@click.group()
def settings() -> None:
    """Look at the settings."""


@settings.command()
def show() -> None:
    """Show every setting with its value; secrets are not shown."""
    found = read_settings()
    for known in fields(Settings):
        value = getattr(found, known.name)
        if known.metadata["secret"] and value:
            value = "(set, not shown)"
        click.echo(f"YIQI_{known.name.upper()}={value}")

"""`yiqi setup`: make everything ready to serve."""

import importlib

import click

from booking import db
from booking.cli import open_database, read_settings
from booking.config import Settings
from booking.services import health


@click.command()
@click.option("--demo", is_flag=True, help="With the demo inventory and people, where nobody is there yet.")
def setup(*, demo: bool) -> None:
    """Make the instance folder, the signing key and the tables; safe to repeat."""
    settings = read_settings()
    make_folder(settings)
    settings.key()
    if migrate(settings):
        click.echo(f"The database is at migration {db.newest_migration()}.")
    if demo:
        _seed(settings)


def make_folder(settings: Settings) -> None:
    """Make the instance folder, which nobody else may look into."""
    try:
        settings.instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise click.ClickException(
            f"the instance folder {settings.instance} cannot be made ({error.strerror});"
            " YIQI_INSTANCE names another one"
        ) from error


def migrate(settings: Settings) -> bool:
    """Bring the tables and guards to this release; False says that there was nothing to do."""
    open_database(settings)
    with db.reading() as session:
        ready = health.is_current(session, newest=db.newest_migration())
    if ready:
        return False
    db.upgrade(settings.direct_url)
    return True


def _seed(settings: Settings) -> None:
    if settings.production:
        raise click.ClickException("demo people have a known password and do not belong in production")
    importlib.import_module("booking.cli.seed").demo_if_empty(settings)

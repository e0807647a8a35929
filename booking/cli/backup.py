"""`yiqi backup` and `yiqi restore`: everything in one file, and back, from either database into either."""

import tempfile
from pathlib import Path

import click

from booking import db
from booking.cli import invariants, open_database, read_settings, utc_now
from booking.config import Settings
from booking.gateways import files
from booking.gateways.files import Archive, BadArchive
from booking.services import backups, jobs
from booking.services.backups import Misfit

JOB = "backup"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
def backup(file: Path) -> None:
    """Write all data to FILE, as it is at one instant, while the server goes on.

    FILE appears when it is complete. It holds personal data and hashes of passwords: keep it safe. The
    signing key is not in it.
    """
    settings = read_settings()
    open_database(settings)
    count = 0
    with db.reading() as session:
        backups.snapshot(session)
        revision = backups.revision(session)
        if revision is None:
            raise click.ClickException("the database is empty; run `yiqi setup`")
        with files.archive_to(file, revision=revision, made_at=utc_now().isoformat()) as archive:
            for name in backups.tables():
                count += archive.add(name, backups.columns(name), backups.rows(session, name))
    with db.transaction() as session:
        jobs.succeeded(session, job=JOB, now=utc_now())
    click.echo(f"{count} rows in {file}, {file.stat().st_size / 1_000_000:.1f} MB.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Drop what is in the database first.")
@click.option("--verify", is_flag=True, help="Only try it out, in a database of its own that is thrown away.")
def restore(file: Path, *, force: bool, verify: bool) -> int:
    """Take all data from FILE into the database, which must be empty.

    FILE is read through and compared with its checksums before anything is written, and then taken in whole
    or not at all. Stop the server and the jobs first. Afterwards people sign in again.
    """
    settings = read_settings()
    try:
        with files.archive_from(file) as archive:
            archive.check()
            if verify:
                return _verify(archive)
            open_database(settings)
            return _restore(archive, settings.url, force=force)
    except (BadArchive, Misfit) as error:
        raise click.ClickException(f"{file} cannot be restored: {error}") from error


def _verify(archive: Archive) -> int:
    with tempfile.TemporaryDirectory(prefix="yiqi-verify-") as folder:
        settings = Settings(instance=Path(folder))
        open_database(settings)
        try:
            return _restore(archive, settings.url, force=False)
        finally:
            db.dispose()


def _restore(archive: Archive, url: str, *, force: bool) -> int:
    revision = str(archive.about.get("revision"))
    if revision not in db.migrations():
        raise BadArchive(f"it is of migration {revision}, which this release does not know; use a newer one")
    db.upgrade(url)
    with db.reading() as session:
        full = not backups.is_empty(session)
    if full and not force:
        raise click.ClickException("the database is not empty; --force drops what is in it")
    if revision != db.newest_migration():
        # The tables of the release that wrote the backup take it in, and then go the way of every upgrade.
        if full:
            with db.transaction() as session:
                backups.begin(session, empty=True)
                backups.finish(session)
        db.downgrade(url, revision)
        full = False
    with db.transaction() as session:
        backups.begin(session, empty=full)
        count = sum(
            backups.load(session, table=member.table, columns=member.columns, rows=archive.rows(member))
            for member in archive.members
        )
        backups.finish(session)
    db.upgrade(url)
    click.echo(f"{count} rows restored, as of {archive.about.get('made_at')}.")
    return invariants.WRONG if invariants.report() else 0

"""`yiqi seed`: the demo, and a great many rows to measure with."""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import click

from booking import db
from booking.cli import open_database, read_settings, table, utc_now
from booking.config import Settings
from booking.domain import inventory
from booking.domain.access import SYSTEM
from booking.services import accounts, bulk, imports, invariants, occupation, scale, seeds

INVENTORY = Path(__file__).resolve().parent.parent / "demo" / "inventory.yaml"


@click.group()
def seed() -> None:
    """Fill the database with examples."""


@seed.command()
def demo() -> None:
    """Bring in the demo inventory, the demo people and their bookings; safe to repeat."""
    settings = read_settings()
    _not_in_production(settings)
    open_database(settings)
    seed_demo()


@seed.command("scale")
@click.option("--instruments", default=1000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--bookings", default=100_000, show_default=True, type=click.IntRange(0, 100_000_000))
@click.option("--check/--no-check", default=True, help="Examine the whole ledger afterwards.")
@click.option("--beside", is_flag=True, help="Also in a database where others than the demo's people are.")
def scale_(*, instruments: int, bookings: int, check: bool, beside: bool) -> None:
    """Add a great many instruments with bookings to measure with, valid like any other.

    Each run adds new facilities, instruments and people. On PostgreSQL many bookings are written as a whole or not at
    all: indexes and guards stand aside meanwhile, and all rows are checked when they come back.
    """
    settings = read_settings()
    _not_in_production(settings)
    db.init(
        settings.direct_url, pool_size=2, statement_timeout_ms=0
    )  # no statement of a bulk load is too long
    now = utc_now()
    found = inventory.read(INVENTORY.read_bytes(), INVENTORY.name)
    began = time.monotonic()
    with db.transaction() as session:
        if not beside and scale.inhabited(session):
            raise click.ClickException(
                "people are at work in this database; --beside adds to it all the same"
            )
        at_once = scale.worth_bare(session, bookings)
        places = scale.places(session, inventory=found, count=instruments, now=now)
        people = scale.people(session, count=max(10, min(5000, bookings // 200)), now=now)
    click.echo(f"{len(places):,} instruments, {len(people):,} people in {time.monotonic() - began:.1f} s")
    batches = _told(scale.batches(places=places, people=people, count=bookings, now=now), bookings)
    if at_once:
        _write_at_once(batches, now)
    else:
        for rows in batches:
            with db.transaction() as session:
                scale.write(session, rows, now)
    began = time.monotonic()
    db.analyse()
    click.echo(f"Statistics refreshed in {time.monotonic() - began:.1f} s.")
    if check:
        _check_ledger()


def _told(batches: Iterable[list[scale.Row]], wanted: int) -> Iterator[list[scale.Row]]:
    """Pass batches on, and tell how far they have come."""
    began = time.monotonic()
    done = 0
    for rows in batches:
        yield rows
        done += len(rows)
        rate = done / (time.monotonic() - began)
        click.echo(f"{done:,} of {wanted:,} bookings; {rate:,.0f} bookings/s")


def _write_at_once(batches: Iterable[list[scale.Row]], now: datetime) -> None:
    with db.transaction() as session:
        with bulk.bare(session, scale.TABLES):
            for rows in batches:
                scale.write(session, rows, now)
            click.echo("Putting keys, indexes and guards back.")
            began = time.monotonic()
        if occupation.overfull(session):
            raise click.ClickException("more is taken of an instrument than it has; nothing was written")
    click.echo(f"All rows are checked and indexed in {time.monotonic() - began:.1f} s.")


def _check_ledger() -> None:
    began = time.monotonic()
    faults = 0
    with db.reading() as session:
        for finding in invariants.check(session, now=utc_now()):
            faults += finding.count
            for fault in finding.faults:
                click.echo(f"{finding.check}: {fault.detail}", err=True)
    seconds = time.monotonic() - began
    if faults:
        raise click.ClickException(f"{faults:,} faults in the ledger")
    click.echo(f"The ledger is sound, checked in {seconds:.1f} s.")


def demo_if_empty(settings: Settings) -> None:
    """Make the demo in a database that is open and where nobody is yet."""
    _not_in_production(settings)
    with db.reading() as session:
        there = seeds.anybody(session)
    if not there:
        seed_demo()


def seed_demo() -> None:
    """Make the demo, whole or not at all."""
    now = utc_now()
    found = inventory.read(INVENTORY.read_bytes(), INVENTORY.name)
    # A slow hash is made before the transaction, not while others wait for it.
    password_hash = accounts.hash_password(seeds.PASSWORD)
    with db.transaction() as session:
        outcome = imports.apply(session, actor=SYSTEM, inventory=found, now=now)
        made = seeds.demo(session, password_hash=password_hash, now=now)
    created = len(outcome.created)
    click.echo(
        f"The demo inventory: {created} created, {outcome.unchanged + len(outcome.changed)} there already."
    )
    if made:
        click.echo(f"Demo people, password {seeds.PASSWORD}:")
        click.echo(table([("", email, who) for email, who in seeds.PEOPLE]))
    else:
        click.echo("The demo people are there already.")


def _not_in_production(settings: Settings) -> None:
    if settings.production:
        raise click.ClickException("demo people have a known password and do not belong in production")

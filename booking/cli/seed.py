"""`yiqi seed`: the demo, and a great many rows to measure with."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from booking import db
from booking.cli import open_database, read_settings, table, utc_now
from booking.config import Settings
from booking.domain import inventory
from booking.domain.access import SYSTEM
from booking.services import accounts, imports, invariants, scale, seeds

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
def scale_(*, instruments: int, bookings: int, check: bool) -> None:
    """Add a great many instruments with bookings to measure with, past no guard of the database.

    Each run adds new facilities, instruments and people. What was written stays when it is stopped.
    """
    settings = read_settings()
    _not_in_production(settings)
    db.init(settings.url, pool_size=2, statement_timeout_ms=0)  # no statement of a bulk load is too long
    now = utc_now()
    found = inventory.read(INVENTORY.read_bytes(), INVENTORY.name)
    began = time.monotonic()
    with db.transaction() as session:
        places = scale.places(session, inventory=found, count=instruments, now=now)
        people = scale.people(session, count=max(10, min(5000, bookings // 200)), now=now)
    click.echo(f"{len(places):,} instruments, {len(people):,} people in {time.monotonic() - began:.1f} s")
    _write_bookings(scale.batches(places=places, people=people, count=bookings, now=now), bookings)
    began = time.monotonic()
    db.analyse()
    click.echo(f"Statistics refreshed in {time.monotonic() - began:.1f} s.")
    if check:
        _check_ledger()


def _write_bookings(batches: Iterator[scale.Rows], wanted: int) -> None:
    began = time.monotonic()
    done = occupations = 0
    for rows in batches:
        with db.transaction() as session:
            scale.write(session, rows)
        done += len(rows.bookings)
        occupations += len(rows.occupations)
        rate = done / (time.monotonic() - began)
        click.echo(f"{done:,} of {wanted:,} bookings, {occupations:,} occupations; {rate:,.0f} bookings/s")


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

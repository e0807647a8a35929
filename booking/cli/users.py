"""`yiqi users`: people, their roles and tokens."""

import sys
from collections.abc import Mapping
from datetime import timedelta

import click

from booking.cli import open_database, read_settings, table, utc_now
from booking.db import reading, transaction
from booking.domain.access import SYSTEM, NotFound, Role, Scope
from booking.services import accounts, tokens
from models import Membership


@click.group()
def users() -> None:
    """Make accounts, give roles and tokens."""


@users.command()
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="What they are there.")
@click.option("--name", default="", help="Their name; the left half of the address by default.")
@click.option("--organisation", metavar="CODE", help="For member and leader.")
@click.option("--facility", metavar="CODE", help="For operator and manager.")
@click.option("--network", metavar="CODE", help="For officer.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create(
    *,
    email: str,
    role: str | None,
    name: str,
    organisation: str | None,
    facility: str | None,
    network: str | None,
    password_stdin: bool,
) -> None:
    """Make an account for EMAIL, or give an existing one a further role.

    Without a password they set one themselves, by a link that the page "Forgot your password?" mails.
    """
    places = [place for place in (organisation, facility, network) if place]
    if len(places) > 1:
        raise click.UsageError("one place at a time")
    settings = read_settings()
    password = sys.stdin.readline().rstrip("\n") if password_stdin else None
    name = name or email.partition("@")[0]
    hashed = accounts.hash_password(password, email=email, name=name) if password is not None else None
    open_database(settings)
    with transaction() as session:
        person = accounts.by_email(session, email=email)
        is_new = person is None
        if person is None:
            person = accounts.create(session, email=email, name=name, password_hash=hashed, now=utc_now())
        elif hashed is not None:
            raise click.ClickException(f"{person.email} exists already and keeps its password")
        if role:
            accounts.grant_at(
                session,
                actor=SYSTEM,
                person_id=person.id,
                role=role,
                place=places[0] if places else "",
                now=utc_now(),
            )
    click.echo(
        f"{person.email} {'was made' if is_new else 'exists already'}{f' and is {role}' if role else ''}."
    )
    if is_new and hashed is None:
        click.echo(f"They set a password at {settings.public_url.rstrip('/')}/password-resets.")


@users.command()
@click.argument("email")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What the token may be used for; all by default. May be repeated.",
)
@click.option("--name", default="console", help="What the token is called.")
@click.option("--days", type=click.IntRange(1, 730), help="For how long it works; without end by default.")
def token(email: str, scopes: tuple[str, ...], name: str, days: int | None) -> None:
    """Make an API token for EMAIL; the last line is the token, which is shown this once."""
    open_database(read_settings())
    now = utc_now()
    with transaction() as session:
        person = accounts.by_email(session, email=email)
        if person is None:
            raise NotFound("person", email)
        _, secret = tokens.make(
            session,
            actor=SYSTEM,
            person_id=person.id,
            name=name,
            scopes=scopes or [scope.value for scope in Scope],
            expires_at=now + timedelta(days=days) if days else None,
            now=now,
        )
    click.echo(f"Token of {person.email} for {', '.join(scopes) or 'everything'}:", err=True)
    click.echo(secret)


@users.command()
@click.argument("email")
def disable(email: str) -> None:
    """Let EMAIL in no more; their sessions and tokens end at once, their bookings stay."""
    open_database(read_settings())
    with transaction() as session:
        person = accounts.by_email(session, email=email)
        if person is None:
            raise NotFound("person", email)
        accounts.disable(session, actor=SYSTEM, person_id=person.id, now=utc_now())
    click.echo(f"{person.email} is disabled.")


@users.command("list")
@click.argument("words", nargs=-1)
def list_(words: tuple[str, ...]) -> None:
    """List all people, or those with these WORDS in their name or address."""
    open_database(read_settings())
    page, shown, total = 1, 0, 1
    while shown < total:
        with reading() as session:
            people, total = accounts.people(
                session, actor=SYSTEM, words=" ".join(words), page=page, page_size=200
            )
            held = [membership for person in people for membership in person.memberships]
            places = accounts.places_of(session, memberships=held)
            rows = [
                (
                    person.email,
                    person.name,
                    person.state.value,
                    ", ".join(_said(membership, places) for membership in person.memberships),
                )
                for person in people
            ]
        if not rows:
            break
        click.echo(table(rows))
        page, shown = page + 1, shown + len(rows)


def _said(membership: Membership, places: Mapping[int, accounts.Place | None]) -> str:
    place = places[membership.id]
    return f"{membership.role.value} of {place.code}" if place else membership.role.value

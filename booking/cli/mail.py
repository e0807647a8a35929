"""`yiqi mail`: what the mail server hands over."""

import hashlib
import sys

import click

from booking.cli import open_database, read_settings, utc_now
from booking.config import BadSetting, Settings
from booking.db import Unavailable, transaction
from booking.domain import incoming_mail
from booking.domain.incoming_mail import MOST_OCTETS, BadMail
from booking.services import mail_intake

LATER = 75
"""Exit code by which mail servers know that they must try again (EX_TEMPFAIL)."""

TRIES = 2


@click.group()
def mail() -> None:
    """Take in what the mail server hands over."""


@mail.command()
@click.option("--recipient", default="", metavar="ADDRESS", help="To whom the mail server says that it came.")
def receive(recipient: str) -> int:
    """Read one message from standard input: an answer of a calendar, or an invitation to an instrument.

    Whatever it is, the command ends well, so that the mail server sends nothing back: a sender may be forged.
    Exit code 75 means that the database is away or a setting wrong, and the message must be handed over again.
    """
    raw = sys.stdin.buffer.read(MOST_OCTETS + 1)
    try:
        settings = read_settings()
        open_database(settings)
        click.echo(_taken(raw, recipient, settings))
    except (Unavailable, BadSetting) as error:
        click.echo(f"yiqi: the message cannot be taken now: {error}", err=True)
        return LATER
    return 0


def _taken(raw: bytes, recipient: str, settings: Settings) -> str:
    """Take a message in, twice if need be; one that we cannot take must not go back to whom it names."""
    for _ in range(TRIES):
        try:
            return _take(raw, recipient, settings)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            click.echo(f"yiqi: {type(error).__name__}: {error}", err=True)
    return _refused(raw, "failed")


def _take(raw: bytes, recipient: str, settings: Settings) -> str:
    try:
        found = incoming_mail.parse(raw, recipient=recipient)
    except BadMail as bad:
        return _refused(raw, bad.code)
    with transaction() as session:
        return mail_intake.receive(session, mail=found, doors=settings.doors, now=utc_now())


def _refused(raw: bytes, outcome: str) -> str:
    with transaction() as session:
        mail_intake.refused(session, key=hashlib.sha256(raw).digest(), outcome=outcome, now=utc_now())
    return outcome

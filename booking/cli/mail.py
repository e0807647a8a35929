"""`yiqi mail`: what the mail server hands over."""

import hashlib
import sys

import click

from booking.cli import open_database, read_settings, utc_now
from booking.config import Settings
from booking.db import Unavailable, transaction
from booking.domain import incoming_mail
from booking.domain.incoming_mail import MOST_OCTETS, BadMail
from booking.services import mail_intake

LATER = 75
"""Exit code by which mail servers know that they must try again (EX_TEMPFAIL)."""


@click.group()
def mail() -> None:
    """Take in what the mail server hands over."""


@mail.command()
@click.option("--recipient", default="", metavar="ADDRESS", help="To whom the mail server says that it came.")
def receive(recipient: str) -> int:
    """Read one message from standard input: an answer of a calendar, or an invitation to an instrument.

    Whatever it is, the command ends well, so that the mail server sends nothing back: a sender may be forged.
    Exit code 75 means that the database is away, and the message must be handed over again.
    """
    settings = read_settings()
    raw = sys.stdin.buffer.read(MOST_OCTETS + 1)
    open_database(settings)
    try:
        click.echo(_take(raw, recipient, settings))
    except Unavailable as error:
        click.echo(f"yiqi: the database cannot be reached: {error}", err=True)
        return LATER
    return 0


def _take(raw: bytes, recipient: str, settings: Settings) -> str:
    try:
        found = incoming_mail.parse(raw, recipient=recipient)
    except BadMail as bad:
        with transaction() as session:
            key = hashlib.sha256(raw).digest()
            mail_intake.refused(session, key=key, outcome=bad.code, now=utc_now())
        return bad.code
    with transaction() as session:
        return mail_intake.receive(session, mail=found, doors=settings.doors, now=utc_now())

"""One meeting that arrives several times at one instant, by the mail server and by the mailbox: it books once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select

from booking import db
from booking.domain.incoming_mail import Doors, parse
from booking.services import mail_intake, meetings
from models import Booking, Event, Meeting
from tests import cast, mails
from tests.factories import make_facility, make_instrument
from tests.races.world import together

ROUNDS = 4
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
KEY = "a key for tests, and for tests alone"
DOORS = Doors("yiqi@lab.example.org", "lab.example.org", "", "yiqi.local", (KEY,))


@pytest.fixture
def secret(database_url: str) -> Iterator[str]:
    """Ada's secret in the address of a furnace."""
    db.init(database_url, pool_size=8)
    with db.transaction() as session:
        make_instrument(session, make_facility(session), code="FURNACE")
        found = meetings.tag(session, key=KEY, person_id=cast.ada(session).id)
    yield found
    db.dispose()


def hand_over(raw: bytes, said: list[str]) -> None:
    """Take a message in as the edges do, again if the other was quicker."""
    mail = parse(raw)
    for tries in range(2):
        try:
            with db.transaction() as session:
                outcome = mail_intake.receive(session, mail=mail, doors=DOORS, now=NOW)
            said.append(outcome)
        except Exception:
            if tries:
                raise
        else:
            return


def request(secret: str, number: int, copy: str) -> bytes:
    start = NOW + timedelta(days=3, hours=3 * number)
    return mails.message(
        "apple-request",
        start=start,
        end=start + timedelta(hours=2),
        address=f"furnace+{secret}@lab.example.org",
        message_id=f"{number}-{copy}",
        changed=(("UID:7C1E9A40", f"UID:{number}"),),
    )


@pytest.mark.parametrize("ids", [("a", "a", "a"), ("a", "b", "c")], ids=["one message", "three messages"])
def test_a_meeting_that_comes_thrice_at_once_books_once(secret, ids):
    for number in range(ROUNDS):
        said: list[str] = []
        together(*(partial(hand_over, request(secret, number, copy), said) for copy in ids))
        assert sorted(said) == ["answered", *["seen" if len(set(ids)) == 1 else "stale"] * 2]
        with db.reading() as session:
            assert len(session.scalars(select(Booking)).all()) == number + 1
            assert len(session.scalars(select(Meeting)).all()) == number + 1
            answers = select(Event).where(Event.kind == "invitation.answered")
            assert len(session.scalars(answers).all()) == number + 1

"""Letters of a swap of times: each hears by their own booking, and of nobody."""

import pytest

from booking.domain.spans import Span
from booking.services import swaps, transfers
from tests import cast
from tests.jobs.test_deeds import HOUR, NOW, START, ada, book, sem, told

__all__ = ["ada", "sem"]


@pytest.mark.parametrize("end", ["accepted", "declined", "withdrawn", "lapsed"])
def test_nobody_is_named_and_each_reads_of_their_own_booking(session, ada, sem, end):
    cleo = cast.actor_of(session, cast.cleo(session))
    mine = book(session, ada, sem)
    book(session, cleo, sem, start=START + 4 * HOUR)
    told(session)
    span = Span(START + 4 * HOUR, START + 6 * HOUR)
    asked = swaps.propose(
        session, actor=ada, booking_id=mine.id, instrument=sem.code, span=span, note="It dries", now=NOW
    )
    found = told(session)
    assert set(found) == {("Cleo", "transfer.asked")}
    letter = found["Cleo", "transfer.asked"]
    assert "It dries" in letter.text
    assert str(mine.id) not in letter.text
    given = {"actor": cleo, "transfer_id": asked.id, "now": NOW}
    if end == "accepted":
        swaps.answer(session, **given)
    elif end == "declined":
        transfers.decline(session, **given)
    elif end == "withdrawn":
        transfers.withdraw(session, **given | {"actor": ada})
    else:
        transfers.lapse(session, now=START)
    hears = "Cleo" if end == "withdrawn" else "Ada"
    found |= (after := told(session))
    assert (hears, f"transfer.{end}") in after
    for (name, _kind), letter in found.items():
        other = "Ada" if name == "Cleo" else "Cleo"
        assert other not in f"{letter.subject} {letter.text}"

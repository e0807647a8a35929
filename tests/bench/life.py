"""What the life of a booking costs: many rules in force, a look at a series, a long waitlist."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import product

from sqlalchemy import event, func, select
from sqlalchemy.orm import Session, joinedload

from booking import db
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.spans import Span
from booking.jobs import waitlist as job
from booking.services import bookings, waitlist
from models import Facility, Instrument, Person, Rule, WaitlistOffer
from tests import cast
from tests.bench import measure
from tests.bench.seed import World
from tests.factories import make_instrument
from tests.races.world import BASE

LINE = 1000
SETTINGS = {
    "longest": 480,
    "notice": 60,
    "notice_to_change": 60,
    "notice_to_cancel": 60,
    "horizon": 400 * 24 * 60,
    "setup": 15,
    "cleanup": 15,
    "gap": 0,
    "concurrent": 1000,
    "grace": 30,
}
QUOTAS = list(product(("person", "project", "organisation"), ("hours", "bookings"), ("day", "week")))[:10]


def rules(url: str, world: World, *, now: datetime) -> str:
    """Put twenty rules on an instrument of its own, one of which refuses longer uses, and give its code."""
    db.init(url)
    with db.transaction() as session:
        row = _beside(session, world, "Ruled")
        kinds = [(RuleKind.SETTING, name, value, {}) for name, value in SETTINGS.items()]
        for party, measured, period in QUOTAS:
            data = {"party": party, "measure": measured, "period": period}
            kinds.append((RuleKind.QUOTA, f"{party}.{measured}.{period}", 100_000, data))
        session.add_all(
            Rule(
                instrument_id=row.id,
                kind=kind,
                name=name,
                value=value,
                data=data,
                valid_from=date(2020, 1, 1),
                created_at=now,
            )
            for kind, name, value, data in kinds
        )
        code = row.code
    db.dispose()
    return code


def _beside(session: Session, world: World, name: str) -> Instrument:
    """Make another instrument in the same facility."""
    query = (
        select(Facility)
        .join(Instrument, Instrument.facility_id == Facility.id)
        .where(Instrument.code == world.race)
        .options(joinedload(Facility.organisation))
    )
    return make_instrument(session, facility=session.scalars(query).one(), name_en=name)


def order(code: str, hours: int, start: datetime) -> bytes:
    """Give the body of a booking."""
    end = start + timedelta(hours=hours)
    body = {"instrument_id": code, "start": start.isoformat(), "end": end.isoformat()}
    return json.dumps(body).encode()


def series(code: str) -> bytes:
    """Give the body of a series of fifty-two weeks."""
    body = {
        "instrument_id": code,
        "rule": "FREQ=WEEKLY;COUNT=52",
        "first_day": BASE.date().isoformat(),
        "start": "20:00",
        "length": "PT1H",
    }
    return json.dumps(body).encode()


@contextmanager
def counted(engine) -> Iterator[list[str]]:
    """Collect the statements."""
    told: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        told.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(engine, "before_cursor_execute", note)


def bench_waitlist(url: str, name: str, world: World, *, now: datetime) -> None:
    """A thousand wait for one slot that is cancelled: the first of them gets an offer, or the rules refuse them all."""
    rows = [_serve(url, world, now=now, refused=refused) for refused in (False, True)]
    measure.show(
        f"{name}: a slot comes free for which {LINE} wait; the same, and the rules refuse every one",
        rows,
        "ms",
        "CPU ms of the job",
        "statements",
        "offers",
    )


def _serve(url: str, world: World, *, now: datetime, refused: bool) -> list[float]:
    db.init(url)
    with db.transaction() as session:
        row = _beside(session, world, "Refused" if refused else "Wanted")
        ben = cast.actor_of(session, session.scalars(select(Person).where(Person.name == "Ben")).one())
        span = Span(BASE + timedelta(days=3), BASE + timedelta(days=3, hours=2))
        taken = bookings.place(session, actor=ben, items=[Item(row.id, span)], now=now).id
        crowd = [
            Person(email=f"{row.code}{n}@example.org", name="Ada", created_at=now, locale=None)
            for n in range(LINE)
        ]
        session.add_all(crowd)
        session.flush()
        for n, person in enumerate(crowd):
            waitlist.join(
                session,
                actor=cast.actor_of(session, person),
                instrument_ids=[row.id],
                window=span,
                minutes=120,
                now=now + timedelta(seconds=n),
            )
        if refused:
            limit = {"kind": RuleKind.SETTING, "name": "longest", "value": 60, "data": {}}
            session.add(Rule(instrument_id=row.id, valid_from=date(2020, 1, 1), created_at=now, **limit))
        place = row.id
    later = now + timedelta(hours=1)
    with db.transaction() as session:
        bookings.cancel(session, actor=ben, booking_id=taken, now=later)
    with counted(db.engine()) as statements:
        begun, cpu = time.perf_counter(), time.process_time()
        job.turn("a key of benchmarks", lambda: False, now=later)
        cpu, begun = 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - begun)
    with db.reading() as session:
        query = select(func.count()).select_from(WaitlistOffer).where(WaitlistOffer.instrument_id == place)
        offers = session.scalar(query) or 0
    db.dispose()
    return [begun, cpu, len(statements), offers]

"""Announcements: who may make them, who reads them and where, and putting them away."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event as events
from sqlalchemy.orm import Session

from booking.domain.access import VISITOR, Forbidden, NotFound
from booking.domain.announcements import Audience, Level, Shown
from booking.domain.rules import Invalid
from booking.services import announcements
from booking.services.announcements import Draft, Where
from tests import cast
from tests.factories import make_facility, make_instrument, make_network


@pytest.fixture
def place(session: Session):
    lab, yard = make_facility(session, code="LAB"), make_facility(session, code="YARD")
    make_instrument(session, lab, code="SEM")
    make_instrument(session, yard, code="BATH")
    return make_network(session, lab, code="NET"), lab, yard


@pytest.fixture
def draft(now) -> Draft:
    return Draft(
        "停电", "No power", Level.WARNING, Shown.EVERYWHERE, Audience.EVERYONE, now, now + timedelta(1)
    )


def read(session, actor, now, **where):
    """What stands on a page for somebody."""
    found = [one for one in announcements.standing(session, now=now) if one.live(now) and one.read_by(actor)]
    shown = announcements.not_put_away(session, actor=actor, among=found, where=Where(**where))
    return [one.text_en for one in shown]


def test_everybody_announces_for_what_they_run(session: Session, place, draft, now):
    network, lab, _yard = place
    tam = cast.actor_of(session, cast.tam(session, lab))
    nora = cast.actor_of(session, cast.nora(session, network))
    root = cast.actor_of(session, cast.root(session))
    cleo = cast.actor_of(session, cast.cleo(session))

    def make(actor, **where):
        return announcements.make(session, actor=actor, draft=draft, now=now, **where)

    make(tam, facility="LAB")
    make(nora, facility="LAB")
    make(nora, network="NET")
    make(root)
    for actor, where in ((tam, {"facility": "YARD"}), (tam, {}), (nora, {"facility": "YARD"}), (cleo, {})):
        with pytest.raises(Forbidden):
            make(actor, **where)
    mine = announcements.listing(session, actor=tam)
    assert len(mine) == 2
    assert len(announcements.listing(session, actor=nora)) == 3
    assert len(announcements.listing(session, actor=root)) == 4
    with pytest.raises(Forbidden):
        announcements.listing(session, actor=cleo)
    of_all = next(one for one in announcements.listing(session, actor=root) if one.facility is one.network)
    with pytest.raises(NotFound):
        announcements.end(session, actor=tam, announcement_id=of_all.row.id, now=now)


def test_where_one_stands_and_who_reads_it(session: Session, place, draft, now):
    network, lab, _yard = place
    root = cast.actor_of(session, cast.root(session))
    tam = cast.actor_of(session, cast.tam(session, lab))
    nora = cast.actor_of(session, cast.nora(session, network))
    cleo = cast.actor_of(session, cast.cleo(session))

    def make(text, shown, audience, **where):
        wanted = replace(draft, text_en=text, shown=shown, audience=audience)
        announcements.make(session, actor=root, draft=wanted, now=now, **where)

    make("all", Shown.EVERYWHERE, Audience.EVERYONE)
    make("lab", Shown.PLACE, Audience.EVERYONE, facility="LAB")
    make("net", Shown.PLACE, Audience.SIGNED_IN, network="NET")
    make("staff", Shown.PLACE, Audience.STAFF, facility="LAB")
    make("desk", Shown.DESK, Audience.STAFF, network="NET")
    assert read(session, VISITOR, now) == ["all"]
    assert sorted(read(session, VISITOR, now, instrument="SEM")) == ["all", "lab"]
    assert sorted(read(session, cleo, now, facility="LAB")) == ["all", "lab", "net"]
    assert read(session, cleo, now, instrument="BATH") == ["all"]
    assert sorted(read(session, tam, now, instrument="SEM")) == ["all", "lab", "net", "staff"]
    assert sorted(read(session, tam, now, desk=True)) == ["all", "desk"]
    assert sorted(read(session, nora, now, network="NET")) == ["all", "net"]
    assert read(session, cleo, now, desk=True) == ["all"]
    told = {one.row.text_en for one in announcements.for_reader(session, actor=cleo, now=now)}
    assert told == {"all", "lab", "net"}


def test_it_begins_and_ends(session: Session, place, draft, now):
    root = cast.actor_of(session, cast.root(session))
    wanted = replace(draft, begins_at=now + timedelta(minutes=30), ends_at=now + timedelta(minutes=40))
    row = announcements.make(session, actor=root, draft=wanted, now=now)
    for minutes, stands in ((0, False), (30, True), (39, True), (40, False)):
        assert bool(read(session, VISITOR, now + timedelta(minutes=minutes))) is stands
    announcements.end(session, actor=root, announcement_id=row.id, now=now + timedelta(minutes=35))
    assert read(session, VISITOR, now + timedelta(minutes=35)) == []
    later = announcements.make(session, actor=root, draft=wanted, now=now)
    announcements.end(session, actor=root, announcement_id=later.id, now=now)
    assert [one.row.id for one in announcements.listing(session, actor=root)] == [row.id]


def test_what_was_put_away_comes_back_when_it_changes(session: Session, place, draft, now):
    root = cast.actor_of(session, cast.root(session))
    ben = cast.actor_of(session, cast.ben(session))
    row = announcements.make(session, actor=root, draft=draft, now=now)
    announcements.put_away(session, actor=ben, announcement_id=row.id, version=row.version)
    announcements.put_away(session, actor=ben, announcement_id=row.id, version=row.version)
    assert read(session, ben, now) == []
    assert read(session, VISITOR, now) == ["No power"]
    longer = replace(draft, ends_at=now + timedelta(days=2))
    announcements.change(session, actor=root, announcement_id=row.id, draft=longer, now=now)
    assert read(session, ben, now) == []
    other = replace(longer, text_en="No water")
    announcements.change(session, actor=root, announcement_id=row.id, draft=other, now=now)
    assert read(session, ben, now) == ["No water"]
    with pytest.raises(Forbidden):
        announcements.put_away(session, actor=VISITOR, announcement_id=row.id, version=1)


@pytest.mark.parametrize(
    ("wrong", "errors"),
    [
        ({"text_zh": "", "text_en": ""}, {"text_zh": "required"}),
        ({"text_en": "x" * 501}, {"text_en": "too_long_text"}),
        ({"shown": Shown.PLACE}, {"shown": "unknown"}),
    ],
)
def test_what_makes_no_sense_is_refused(session: Session, place, draft, now, wrong, errors):
    root = cast.actor_of(session, cast.root(session))
    with pytest.raises(Invalid) as refused:
        announcements.make(session, actor=root, draft=replace(draft, **wrong), now=now)
    assert refused.value.errors == errors
    for ends, code in ((now - timedelta(hours=1), "inverted"), (now, "inverted")):
        with pytest.raises(Invalid) as refused:
            announcements.make(session, actor=root, draft=replace(draft, ends_at=ends), now=now)
        assert refused.value.errors == {"ends_at": code}


def test_a_page_asks_once(session: Session, place, draft, now):
    root = cast.actor_of(session, cast.root(session))
    for _ in range(5):
        announcements.make(session, actor=root, draft=draft, now=now)
    ben = cast.actor_of(session, cast.ben(session))
    found = announcements.standing(session, now=now)
    asked = []
    events.listen(session.connection(), "before_cursor_execute", lambda *told: asked.append(told[2]))
    shown = announcements.not_put_away(session, actor=ben, among=found, where=Where(instrument="SEM"))
    assert (len(shown), len(asked)) == (5, 1)

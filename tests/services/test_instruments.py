from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from booking.domain.access import SYSTEM, VISITOR, Forbidden, NotFound, Scope
from booking.domain.hours import ALWAYS, WeeklyHours
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, catalogue, closures, facilities, instruments
from booking.services.catalogue import Filters
from models import ClosureKind, Event, InstrumentKind, Occupation
from tests import cast
from tests.factories import make_facility, make_instrument

OFFICE = tuple(WeeklyHours(day, 540, 1020) for day in range(5))


@pytest.fixture
def sem(session):
    catalogue.ensure_categories(session)
    return make_instrument(session, code="SEM", name_zh="扫描电镜", name_en="SEM", price=100)


@pytest.fixture
def tam(session, sem):
    return cast.actor_of(session, cast.tam(session, sem.facility))


def edit(session, actor, now, **changes):
    return instruments.edit(session, actor=actor, code="SEM", changes=changes, now=now)


def book(session, instrument, now, *, hours=2, quantity=1, start=24):
    actor = cast.actor_of(session, cast.ada(session))
    span = Span(now + timedelta(hours=start), now + timedelta(hours=start + hours))
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span, quantity)], now=now)


def ledger(session, instrument):
    session.flush()
    query = select(Occupation.quantity, Occupation.exclusive).where(Occupation.instrument_id == instrument.id)
    return [tuple(row) for row in session.execute(query.order_by(Occupation.starts_at, Occupation.id))]


# --- one by its code ---


def test_one_comes_with_all_that_its_page_shows(session, sem):
    session.expunge_all()
    found = instruments.by_code(session, actor=VISITOR, code="SEM")
    assert found.facility.organisation.name_en
    assert found.facility.networks == []
    assert found.category is None
    assert (found.text.about_zh, found.documents, found.capabilities) == ("", [], [])
    assert {price.amount for price in found.prices} == {Decimal(100)}


@pytest.mark.parametrize("code", ["sem", "", "SEM%", "' or 1", "nothing"])
def test_an_unknown_code_is_not_found(session, sem, code):
    with pytest.raises(NotFound):
        instruments.by_code(session, actor=VISITOR, code=code)
    with pytest.raises(NotFound):
        instruments.by_codes(session, actor=VISITOR, codes=["SEM", code])


def test_what_is_not_published_is_not_there_for_others(session, sem, tam):
    sem.published = False
    session.flush()
    for actor in (VISITOR, cast.actor_of(session, cast.cleo(session))):
        with pytest.raises(NotFound):
            instruments.by_code(session, actor=actor, code="SEM")
        with pytest.raises(NotFound):
            instruments.by_codes(session, actor=actor, codes=["SEM"])
    assert instruments.by_code(session, actor=tam, code="SEM").id == sem.id
    assert instruments.by_codes(session, actor=tam, codes=["SEM"]) == {"SEM": sem.id}


# --- editing ---


def test_a_manager_edits_and_the_event_tells_what(session, sem, tam, now):
    revision = sem.revision
    edited = edit(session, tam, now, name_zh="新电镜", location="B 204", longest_minutes=480, published=False)
    assert (edited.name_zh, edited.location, edited.longest_minutes, edited.published) == (
        "新电镜",
        "B 204",
        480,
        False,
    )
    assert edited.revision == revision + 1
    assert edited.updated_at == now
    said = session.scalars(select(Event).where(Event.kind == "instrument.changed")).one()
    assert (said.subject, said.facility_id, said.actor_id) == ("SEM", sem.facility_id, tam.person_id)
    assert said.data["changes"]["name_zh"] == ["扫描电镜", "新电镜"]
    assert said.data["changes"]["longest_minutes"] == [None, 480]
    session.flush()
    page = catalogue.search(session, actor=tam, filters=Filters(q="xindianjing b"))
    assert [row.code for row in page.items] == ["SEM"]


def test_an_edit_that_changes_nothing_writes_nothing(session, sem, tam, now):
    revision = sem.revision
    edited = edit(session, tam, now, name_zh="扫描电镜", units=1, price_internal=100)
    assert edited.revision == revision
    assert session.scalars(select(Event)).all() == []


def test_others_may_not_edit(session, sem, now):
    people = [
        cast.ada(session),
        cast.cleo(session),
        cast.tam(session, make_facility(session)),
        cast.nora(session),
    ]
    for person in people:
        with pytest.raises(Forbidden):
            edit(session, cast.actor_of(session, person), now, name_zh="x")
    with pytest.raises(Forbidden):
        edit(session, VISITOR, now, name_zh="x")
    narrow = cast.actor_of(session, cast.tam(session, sem.facility), [Scope.READ, Scope.BOOK])
    with pytest.raises(Forbidden):
        edit(session, narrow, now, name_zh="x")
    edit(session, SYSTEM, now, name_zh="x")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"code": "X"}, {"code": "unknown"}),
        ({"facility": "X"}, {"facility": "unknown"}),
        ({"revision": 1}, {"revision": "unknown"}),
        ({"name_zh": ""}, {"name_zh": "required"}),
        ({"name_zh": "a\0"}, {"name_zh": "control_characters"}),
        ({"name_zh": "a" * 301, "units": 0}, {"name_zh": "too_long_text", "units": "too_small"}),
        ({"units": 10**9}, {"units": "too_large"}),
        ({"category": "9999"}, {"category": "unknown"}),
        ({"shortest_minutes": 60, "longest_minutes": 30}, {"longest_minutes": "too_small"}),
        ({"parts": ["SEM"]}, {"parts": "line_in_line"}),
        ({"kind": "line", "parts": ["nothing"]}, {"parts": "unknown"}),
        ({"opening": "Mon 25:00-26:00"}, {"opening": "not_hours"}),
    ],
)
def test_values_that_it_may_not_have_are_named(session, tam, now, changes, errors):
    with pytest.raises(Invalid) as wrong:
        edit(session, tam, now, **changes)
    assert wrong.value.errors == errors


def test_prices_are_dated(session, sem, tam, now):
    edit(session, tam, now, price_internal=120, price_from=date(2026, 12, 1))
    edited = edit(session, tam, now, price_external="negotiated")
    rows = sorted((p.customer_class.value, p.amount, p.valid_from, p.valid_to) for p in edited.prices)
    assert rows == [
        ("external", 100, date(2026, 1, 1), date(2026, 11, 2)),
        ("internal", 100, date(2026, 1, 1), date(2026, 12, 1)),
        ("internal", 120, date(2026, 12, 1), None),
    ]


def test_an_instrument_gets_hours_of_its_own_and_loses_them(session, sem, tam, now):
    edit(session, tam, now, opening="Mon-Fri 09:00-17:00")
    assert tuple(facilities.own_hours(session, instrument_id=sem.id)) == OFFICE
    edit(session, tam, now, opening="")
    assert facilities.own_hours(session, instrument_id=sem.id) == []


def test_capabilities_are_replaced(session, sem, tam, now):
    edit(session, tam, now, capabilities="drying; volume_l=5 L")
    edited = edit(session, tam, now, capabilities="volume_l=7 L; coating")
    session.expire_all()
    found = instruments.by_code(session, actor=tam, code="SEM").capabilities
    assert edited.id == sem.id
    assert [(one.tag, one.value) for one in found] == [("coating", None), ("volume_l", Decimal(7))]


# --- units ---


def test_units_never_fall_under_what_is_booked(session, tam, sem, now):
    edit(session, tam, now, units=3)
    book(session, sem, now, quantity=2)
    with pytest.raises(Refused) as refused:
        edit(session, tam, now, units=1)
    assert [reason.code for reason in refused.value.reasons] == ["taken"]
    edit(session, tam, now, units=2)
    assert ledger(session, sem) == [(2, False)]


def test_what_is_over_does_not_hold_units_back(session, tam, sem, now):
    edit(session, tam, now, units=3)
    book(session, sem, now, quantity=2)
    book(session, sem, now, quantity=1)
    assert ledger(session, sem) == [(2, False), (1, False)]
    later = now + timedelta(days=3)
    edit(session, tam, later, units=1)
    book(session, sem, later)
    assert ledger(session, sem) == [(2, False), (1, False), (1, True)]


def test_a_claim_on_the_only_unit_is_exclusive(session, tam, sem, now):
    book(session, sem, now)
    assert ledger(session, sem) == [(1, True)]
    edit(session, tam, now, units=2)
    assert ledger(session, sem) == [(1, False)]
    book(session, sem, now)  # the same hours again, on the second unit
    with pytest.raises(Refused):
        edit(session, tam, now, units=1)
    assert ledger(session, sem) == [(1, False), (1, False)]


@pytest.mark.parametrize("imposed", [False, True])
def test_a_closure_goes_on_taking_every_unit(session, tam, sem, now, imposed):
    closures.make(
        session,
        actor=tam,
        facility_id=sem.facility_id,
        instrument_id=sem.id,
        span=Span(now + timedelta(hours=20), now + timedelta(hours=30)),
        kind=ClosureKind.MAINTENANCE,
        reason="",
        imposed=imposed,
        now=now,
    )
    edit(session, tam, now, units=3)
    assert [quantity for quantity, _ in ledger(session, sem)] == [3]
    with pytest.raises(Refused):
        book(session, sem, now)
    edit(session, tam, now, units=2)
    assert [quantity for quantity, _ in ledger(session, sem)] == [2]
    with pytest.raises(Refused):
        book(session, sem, now)


# --- lines ---


def test_a_line_takes_stations_of_its_facility(session, tam, sem, now):
    station = make_instrument(session, sem.facility, code="ST", units=2)
    elsewhere = make_instrument(session, code="ELSE")
    with pytest.raises(Invalid) as wrong:
        edit(session, tam, now, kind="line", parts=["ST", "ELSE"])
    assert wrong.value.errors == {"parts": "other_facility"}
    with pytest.raises(Invalid) as wrong:
        edit(session, tam, now, kind="line", parts=["ST"], units=3)
    assert wrong.value.errors == {"units": "too_large"}
    edited = edit(session, tam, now, kind="line", parts=["ST"])
    assert edited.kind is InstrumentKind.LINE
    assert [row.code for row in instruments.stations(session, instrument_id=sem.id)] == ["ST"]
    assert elsewhere.id != station.id


def test_the_parts_of_a_booked_line_stay(session, tam, sem, now):
    make_instrument(session, sem.facility, code="ST")
    edit(session, tam, now, kind="line")
    book(session, sem, now)
    with pytest.raises(Invalid) as wrong:
        edit(session, tam, now, parts=["ST"])
    assert wrong.value.errors == {"parts": "booked"}


# --- facilities ---


def test_a_manager_sets_the_hours_of_a_facility(session, sem, tam, now):
    own = make_instrument(session, sem.facility, hours=ALWAYS)
    before = sem.revision, own.revision
    facilities.set_hours(session, actor=tam, code=sem.facility.code, hours=OFFICE, now=now)
    assert facilities.hours(session, facility_id=sem.facility_id) == list(OFFICE)
    session.refresh(sem, ["revision"])
    session.refresh(own, ["revision"])
    assert (sem.revision, own.revision) == (before[0] + 1, before[1])  # only who follows the facility
    said = session.scalars(select(Event).where(Event.kind == "facility.changed")).one()
    assert said.data["hours"][1][0] == "0 09:00-17:00"


def test_the_same_hours_again_write_nothing(session, sem, tam, now):
    facilities.set_hours(session, actor=tam, code=sem.facility.code, hours=ALWAYS, now=now)
    assert session.scalars(select(Event)).all() == []


def test_others_may_not_set_hours(session, sem, now):
    for person in (cast.ada(session), cast.cleo(session), cast.tam(session, make_facility(session))):
        with pytest.raises(Forbidden):
            facilities.set_hours(
                session, actor=cast.actor_of(session, person), code=sem.facility.code, hours=OFFICE, now=now
            )


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (WeeklyHours(7, 0, 60), "out_of_range"),
        (WeeklyHours(0, -1, 60), "out_of_range"),
        (WeeklyHours(0, 0, 1441), "out_of_range"),
        (WeeklyHours(0, 60, 60), "inverted"),
        (WeeklyHours(0, 0, 60, date(2026, 2, 1), date(2026, 1, 1)), "inverted"),
    ],
)
def test_hours_that_no_week_has_are_refused(rule, code):
    with pytest.raises(Invalid) as wrong:
        facilities.check_hours([rule])
    assert wrong.value.errors == {"hours": code}


def test_the_desk_shows_the_facilities_where_one_works(session, sem, tam):
    other = make_facility(session)
    assert [row.code for row in facilities.managed(session, actor=tam)] == [sem.facility.code]
    everything = {row.code for row in facilities.managed(session, actor=SYSTEM)}
    assert everything >= {sem.facility.code, other.code}
    assert facilities.managed(session, actor=cast.actor_of(session, cast.cleo(session))) == []
    assert facilities.managed(session, actor=VISITOR) == []

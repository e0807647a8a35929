from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, func, select

import booking
from booking.domain import inventory
from booking.domain.access import SYSTEM, VISITOR, Forbidden, Scope
from booking.domain.hours import ALWAYS
from booking.domain.inventory import OFFICE_HOURS
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings, catalogue, facilities, imports, instruments
from booking.services.catalogue import Filters
from booking.services.imports import Broken
from models import Base, Event, Facility, Instrument, Occupation, Organisation
from tests import cast
from tests.factories import make_facility, make_instrument

DEMO = Path(booking.__file__).parent / "demo" / "inventory.yaml"


@pytest.fixture(scope="module")
def demo():
    return inventory.read(DEMO.read_bytes(), DEMO.name)


@pytest.fixture
def lab(session):
    return make_facility(session, code="LAB")


@pytest.fixture
def tam(session, lab):
    return cast.actor_of(session, cast.tam(session, lab))


def read(text):
    return inventory.read(text.encode(), "a.csv")


def apply(session, text, now, actor=SYSTEM):
    found = read(text) if isinstance(text, str) else text
    outcome = imports.apply(session, actor=actor, inventory=found, now=now)
    session.flush()
    return outcome


def faults(session, text, now, actor=SYSTEM):
    found = read(text) if isinstance(text, str) else text
    before = everything(session)
    with pytest.raises(Broken) as broken:
        imports.apply(session, actor=actor, inventory=found, now=now)
    assert everything(session) == before
    with pytest.raises(Broken) as dry:
        imports.check(session, actor=actor, inventory=found, now=now)
    assert dry.value.errors == broken.value.errors
    return [(error.row, error.key, error.column, error.code) for error in broken.value.errors]


def everything(session):
    """The number of rows of each table."""
    session.flush()
    return {
        table.name: session.scalar(select(func.count()).select_from(table))
        for table in Base.metadata.sorted_tables
    }


def one(session, code):
    return instruments.by_code(session, actor=SYSTEM, code=code)


def book(session, code, now, quantity=1):
    actor = cast.actor_of(session, cast.ada(session))
    span = Span(now + timedelta(hours=24), now + timedelta(hours=26))
    return bookings.place(session, actor=actor, items=[Item(one(session, code).id, span, quantity)], now=now)


HEADING = "code,facility,name_zh,kind"


# --- the demo inventory ---


def test_the_demo_inventory_comes_in_once(session, demo, now):
    outcome = apply(session, demo, now)
    assert (len(outcome.created), outcome.changed, outcome.unchanged) == (72, (), 0)
    before = everything(session)
    revisions = dict(session.execute(select(Instrument.code, Instrument.revision)).all())
    again = apply(session, demo, now + timedelta(days=40))
    assert (again.created, again.changed, again.unchanged) == ((), (), 72)
    assert everything(session) == before
    assert dict(session.execute(select(Instrument.code, Instrument.revision)).all()) == revisions


def test_a_line_has_no_more_units_than_its_scarcest_station(session, demo, now):
    outcome = apply(session, demo, now)
    line = one(session, "DG-SLAB-06")
    assert line.units == 1
    stations = instruments.stations(session, instrument_id=line.id)
    assert [row.code for row in stations] == ["DG-SLAB-01", "DG-SLAB-03", "DG-SLAB-04"]
    note = next(note for note in outcome.notes if note.code == "fewer_units")
    assert (note.key, note.params) == ("DG-SLAB-06", {"asked": 2, "units": 1, "station": "DG-SLAB-01"})


def test_the_demo_inventory_is_whole(session, demo, now):
    apply(session, demo, now)
    sem = one(session, "DG-SLAB-05")
    assert sem.category.name_en == "Electron-optical instruments"
    assert sem.facility.organisation.name_zh == "松山湖材料实验室"
    assert [network.code for network in sem.facility.networks] == ["GUANYI"]
    assert tuple(facilities.own_hours(session, instrument_id=sem.id)) == inventory.LONG_DAY
    assert tuple(facilities.hours(session, facility_id=sem.facility_id)) == OFFICE_HOURS
    assert {(p.customer_class.value, p.unit.value, int(p.amount)) for p in sem.prices} == {
        ("internal", "hour", 180),
        ("external", "hour", 350),
        ("external", "sample", 600),
    }
    negotiated = one(session, "DG-SLAB-06")
    assert {price.customer_class.value for price in negotiated.prices} == {"external"}
    assert {
        price.amount for price in one(session, "DG-CSNS-01").prices if price.customer_class == "internal"
    } == {0}
    unknown = [row for row in session.scalars(select(Organisation)) if row.name_zh.startswith("运营单位待填")]
    assert len(unknown) == 2
    page = catalogue.search(session, actor=VISITOR, filters=Filters(), page_size=100)
    assert page.total == 60
    assert all(row.capabilities for row in page.items)


def test_what_a_manager_edited_is_kept_where_the_file_states_nothing(session, demo, now):
    apply(session, demo, now)
    tam = cast.actor_of(session, cast.tam(session, one(session, "DG-SLAB-05").facility))
    changes = {"about_zh": "我们的", "opening": "always", "approval_required": True, "name_zh": "别名"}
    instruments.edit(session, actor=tam, code="DG-SLAB-05", changes=changes, now=now)
    outcome = apply(session, demo, now)
    (change,) = outcome.changed
    assert change.fields == {"name_zh": ("别名", "场发射扫描电子显微镜")}
    sem = one(session, "DG-SLAB-05")
    assert (sem.text.about_zh, sem.approval_required) == ("我们的", True)
    assert tuple(facilities.own_hours(session, instrument_id=sem.id)) == ALWAYS


def test_a_dry_run_tells_and_writes_nothing(session, demo, now):
    before = everything(session)
    outcome = imports.check(session, actor=SYSTEM, inventory=demo, now=now)
    assert len(outcome.created) == 72
    assert everything(session) == before


def test_the_events_tell_each_facility_what_came(session, demo, now):
    apply(session, demo, now)
    said = session.scalars(select(Event).where(Event.kind == "instruments.imported")).all()
    assert len(said) == 11  # one for each facility, one for the networks
    slab = next(row for row in said if row.subject == "DG-SLAB")
    assert slab.facility_id == one(session, "DG-SLAB-05").facility_id
    assert "instrument DG-SLAB-05" in slab.data["created"]
    assert slab.data["file"] == "inventory.yaml"


# --- sheets ---


def test_a_sheet_creates_then_changes_then_rests(session, lab, now):
    first = apply(session, f"{HEADING},units,price_internal\nA,LAB,光刻机,device,2,100\n", now)
    assert first.created == (("instrument", "A"),)
    row = one(session, "A")
    assert (row.units, row.step_minutes, row.published, row.text.about_zh) == (2, None, True, "")
    assert [capability.tag for capability in row.capabilities] == ["lithography"]
    assert [str(price.valid_from) for price in row.prices] == ["2026-11-02"]
    second = apply(session, "code,units,name_en\nA,3,Stepper\n", now)
    (change,) = second.changed
    assert change.fields == {"units": (2, 3), "name_en": ("", "Stepper")}
    assert one(session, "A").revision == 2
    third = apply(
        session, f"{HEADING},units,price_internal\nA,LAB,光刻机,device,3,100\n", now + timedelta(days=9)
    )
    assert (third.quiet, third.unchanged) == (True, 1)


def test_a_change_is_found_by_its_new_words(session, lab, now):
    apply(session, f"{HEADING}\nA,LAB,光刻机,device\n", now)
    apply(session, "code,name_zh,capabilities\nA,离心机,drying\n", now)
    for query, total in (("lixinji", 1), ("guangkeji", 0), ("drying", 1)):
        assert catalogue.search(session, actor=VISITOR, filters=Filters(q=query)).total == total


def test_every_fault_is_named_and_nothing_is_written(session, lab, now):
    text = (
        f"{HEADING},category,parts,units\n"
        "A,LAB,名,device,0101,,1\n"
        "B,NOPE,名,device,,,1\n"
        "C,LAB,名,device,9999,,1\n"
        "D,LAB,名,line,,A; X,1\n"
        "E,LAB,名,line,,D,1\n"
        "F,LAB,名,device,,A,1\n"
    )
    assert set(faults(session, text, now)) == {
        (3, "B", "facility", "unknown_facility"),
        (4, "C", "category", "unknown_category"),
        (5, "D", "parts", "part_unknown"),
        (6, "E", "parts", "part_line_in_line"),
        (7, "F", "parts", "not_a_line"),
    }


def test_a_new_instrument_needs_its_place_name_and_kind(session, lab, now):
    assert faults(session, "code,units\nA,1\n", now) == [
        (2, "A", "facility", "required"),
        (2, "A", "name_zh", "required"),
        (2, "A", "kind", "required"),
    ]


def test_bad_cells_stop_the_import_whoever_asks(session, lab, now):
    assert faults(session, f"{HEADING},units\nA,LAB,名,device,0\n", now) == [(2, "A", "units", "too_small")]


def test_an_instrument_does_not_move(session, lab, now):
    make_facility(session, code="OTHER")
    apply(session, f"{HEADING}\nA,LAB,名,device\n", now)
    assert faults(session, "code,facility\nA,OTHER\n", now) == [(2, "A", "facility", "other_facility")]


def test_stations_of_the_same_file_make_a_line(session, lab, now):
    text = f"{HEADING},parts,units\nL,LAB,线,line,S1; S2,5\nS1,LAB,一,station,,2\nS2,LAB,二,station,,3\n"
    outcome = apply(session, text, now)
    assert one(session, "L").units == 2
    assert [note.params["station"] for note in outcome.notes] == ["S1"]
    assert apply(session, text, now).quiet


def test_a_station_of_another_facility_is_refused(session, lab, now):
    make_instrument(session, code="S")
    text = f"{HEADING},parts\nL,LAB,线,line,S\n"
    assert faults(session, text, now) == [(2, "L", "parts", "part_other_facility")]


# --- rights ---


def test_a_manager_imports_into_the_own_facility_only(session, lab, tam, now):
    make_facility(session, code="OTHER")
    apply(session, f"{HEADING}\nA,LAB,名,device\n", now, tam)
    text = f"{HEADING}\nA,LAB,名,device\nB,OTHER,名,device\n"
    assert faults(session, text, now, tam) == [(3, "B", "facility", "not_yours")]


def test_a_manager_creates_no_facility(session, demo, tam, now):
    codes = {code for *_, code in faults(session, demo, now, tam)}
    assert codes >= {"administrators_only"}


def test_others_import_nothing(session, lab, now):
    people = [cast.ada(session), cast.cleo(session), cast.nora(session)]
    actors = [VISITOR, *(cast.actor_of(session, person) for person in people)]
    actors.append(cast.actor_of(session, cast.tam(session, lab), [Scope.BOOK]))
    for actor in actors:
        with pytest.raises(Forbidden):
            imports.apply(session, actor=actor, inventory=read(f"{HEADING}\nA,LAB,名,device\n"), now=now)
        with pytest.raises(Forbidden):
            imports.check(session, actor=actor, inventory=read(f"{HEADING}\nA,LAB,名,device\n"), now=now)


# --- what is booked ---


def test_units_under_what_is_booked_are_a_fault_of_the_cell(session, lab, now):
    apply(session, f"{HEADING},units\nA,LAB,名,device,3\nB,LAB,名,device,1\n", now)
    book(session, "A", now, quantity=2)
    assert faults(session, "code,units,name_zh\nA,1,新\nB,1,新\n", now) == [(2, "A", "units", "booked")]
    apply(session, "code,units\nA,2\n", now)
    assert one(session, "A").units == 2


def test_units_that_change_refit_the_ledger(session, lab, now):
    apply(session, f"{HEADING}\nA,LAB,名,device\n", now)
    book(session, "A", now)
    apply(session, "code,units\nA,2\n", now)
    assert session.scalars(select(Occupation.exclusive)).all() == [False]
    book(session, "A", now)
    assert faults(session, "code,units\nA,1\n", now) == [(2, "A", "units", "booked")]


def test_parts_of_a_booked_line_stay(session, lab, now):
    apply(session, f"{HEADING}\nL,LAB,线,line\nS,LAB,站,station\n", now)
    book(session, "L", now)
    assert faults(session, "code,parts\nL,S\n", now) == [(2, "L", "parts", "booked_line")]


# --- facilities ---


def facility_file(**changes):
    facility = {
        "id": "NEW",
        "name_zh": "新平台",
        "operator_zh": "某大学",
        "org_type": "university",
        "region_code": "441900",
        **changes,
    }
    return inventory._Yaml(
        "a.yaml",
        {
            "facilities": [facility],
            "networks": [{"id": "N", "name_zh": "网", "facilities": ["NEW"]}],
            "items": [{"id": "NEW-1", "facility": "NEW", "name_zh": "光刻机", "kind": "instrument"}],
        },
    ).inventory()


def test_a_facility_changes_with_its_operator_hours_and_search(session, now):
    apply(session, facility_file(), now)
    revision = one(session, "NEW-1").revision
    changed = apply(
        session,
        facility_file(
            name_zh="旧平台", operator_zh="别的大学", opening="always", latitude=22.9, zone="Asia/Urumqi"
        ),
        now,
    )
    (change,) = changed.changed
    assert set(change.fields) == {"name_zh", "operator.name_zh", "opening", "latitude", "zone"}
    row = one(session, "NEW-1")
    assert row.revision == revision + 1  # its calendar follows the facility's hours
    assert (row.facility.name_zh, row.facility.organisation.name_zh) == ("旧平台", "别的大学")
    assert tuple(facilities.hours(session, facility_id=row.facility_id)) == ALWAYS
    assert catalogue.search(session, actor=VISITOR, filters=Filters(q="jiupingtai")).total == 1


def test_a_new_name_or_place_of_a_facility_is_a_change_of_its_instruments(session, now):
    apply(session, facility_file(), now)
    later = now + timedelta(days=1)
    apply(session, facility_file(opening="always"), later)
    assert one(session, "NEW-1").updated_at == now  # no calendar prints the hours
    apply(session, facility_file(opening="always", name_zh="旧平台"), later)
    assert one(session, "NEW-1").updated_at == later


def test_a_credit_code_belongs_to_one(session, now):
    code = "91110108551385082Q"
    apply(session, facility_file(uscc=code), now)
    other = facility_file(uscc=code, id="OTHER", operator_zh="第三者", operator_code="THIRD")
    with pytest.raises(Broken) as broken:
        imports.check(session, actor=SYSTEM, inventory=other, now=now)
    assert (None, "OTHER", "uscc", "duplicate") in [
        (error.row, error.key, error.column, error.code) for error in broken.value.errors
    ]


def test_a_network_of_unknown_facilities_is_refused(session, now):
    found = inventory._Yaml("a.yaml", {"networks": [{"id": "N", "name_zh": "网", "facilities": ["NOPE"]}]})
    assert faults(session, found.inventory(), now) == [(None, "N", "facilities", "unknown_facility")]


def test_a_network_follows_the_file(session, lab, now):
    text = {"networks": [{"id": "N", "name_zh": "网", "facilities": ["LAB"]}]}
    apply(session, inventory._Yaml("a.yaml", text).inventory(), now)
    text["networks"][0]["facilities"] = []
    outcome = apply(session, inventory._Yaml("a.yaml", text).inventory(), now)
    assert outcome.changed[0].fields == {"facilities": (["LAB"], [])}
    assert session.scalar(select(Facility.code).where(Facility.code == "LAB")) == "LAB"


# --- many ---


def test_a_thousand_rows_take_few_statements(session, lab, now):
    rows = "".join(f"A-{n},LAB,仪器{n},device\n" for n in range(1000))
    apply(session, f"{HEADING}\n{rows}", now)
    said = []

    def listen(*arguments):
        said.append(arguments[2])

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", listen)
    again = apply(session, f"{HEADING}\n{rows}", now)
    event.remove(engine, "before_cursor_execute", listen)
    assert again.unchanged == 1000
    assert len(said) < 60

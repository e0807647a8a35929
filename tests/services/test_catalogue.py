from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from booking.domain import search
from booking.domain.access import SYSTEM, VISITOR, Scope
from booking.domain.rules import Invalid
from booking.services import catalogue
from booking.services.catalogue import Filters
from models import Capability, Category, InstrumentKind, InstrumentText
from models.words import INDEX, holding
from tests import cast
from tests.factories import make_facility, make_instrument, make_network, make_organisation


@pytest.fixture
def fleet(session):
    """Two facilities in one network each, five instruments."""
    catalogue.ensure_categories(session)
    lab = make_facility(
        session, code="LAB", name_zh="松山湖平台", name_en="Lake Platform", region_code="441900"
    )
    base = make_facility(
        session, code="BASE", name_zh="贺州基地", name_en="Hezhou Base", region_code="451100"
    )
    make_network(session, lab, code="CITY")
    make_network(session, lab, base, code="ALL")
    sem = make_instrument(
        session,
        lab,
        code="LAB-1",
        name_zh="扫描电子显微镜",
        name_en="SEM",
        category_code="0101",
        capabilities=["electron_microscopy"],
    )
    make_instrument(
        session, lab, code="LAB-2", name_zh="SMT贴片线", name_en="SMT assembly line", kind=InstrumentKind.LINE
    )
    tank = make_instrument(
        session,
        base,
        code="BASE-1",
        name_zh="50L发酵罐",
        name_en="50 L fermenter",
        kind=InstrumentKind.STATION,
        category_code="1202",
        model="F-50_x",
    )
    session.add(Capability(instrument_id=tank.id, tag="volume_l", value=Decimal(50), unit="L"))
    make_instrument(
        session, base, code="BASE-2", name_zh="显微镜", name_en="Microscope 100%", category_code="0108"
    )
    make_instrument(
        session,
        base,
        code="BASE-3",
        name_zh="秘密显微镜",
        name_en="Secret",
        category_code="0108",
        published=False,
    )
    session.flush()
    return sem


def found(session, actor=VISITOR, locale="zh_Hans_CN", **filters):
    page = catalogue.search(session, actor=actor, filters=Filters(**filters), locale=locale)
    assert page.total == len(page.items)
    codes = [row.code for row in page.items]
    matching = set(session.scalars(catalogue.matching(Filters(**filters), actor)))
    assert matching == {row.id for row in page.items}
    return codes


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", ["BASE-1", "BASE-2", "LAB-1", "LAB-2"]),
        ("显微镜", ["BASE-2", "LAB-1"]),  # the exact name first
        ("SEM", ["LAB-1", "LAB-2"]),  # the word before a part of one
        ("ＳＥＭ", ["LAB-1", "LAB-2"]),
        ("扫描电镜", ["LAB-1"]),
        ("saomiao", ["LAB-1"]),
        ("smdz", ["LAB-1"]),
        ("guangxi", ["BASE-1", "BASE-2"]),
        ("hezhou 显微", ["BASE-2"]),
        ("hezhou smt", []),
        ("发酵", ["BASE-1"]),
        ("bioreactor", ["BASE-1"]),
        ("f-50_x", ["BASE-1"]),
        ("f-50%x", []),  # neither % nor _ stands for anything else
        ("fe_menter", []),
        ("100%", ["BASE-2"]),
        ("%", ["BASE-2"]),
        ("lab-1", ["LAB-1"]),
        ("' or 1=1 --", []),
        ("\\", []),
        ("a\0b\x00", ["BASE-1", "BASE-2", "LAB-1", "LAB-2"]),
        ("😀", []),
    ],
)
def test_words(session, fleet, query, codes):
    got = found(session, q=query)
    assert got[: len(codes)] == codes if query != "a\0b\x00" else set(got) <= set(codes)
    assert query == "a\0b\x00" or len(got) == len(codes)


@pytest.mark.parametrize(
    ("filters", "codes"),
    [
        ({"facility": "LAB"}, ["LAB-1", "LAB-2"]),
        ({"facility": "lab"}, []),
        ({"facility": "' or 1"}, []),
        ({"network": "CITY"}, ["LAB-1", "LAB-2"]),
        ({"network": "ALL", "kind": "station"}, ["BASE-1"]),
        ({"kind": "line"}, ["LAB-2"]),
        ({"kind": "rocket"}, []),
        ({"category": "01"}, ["BASE-2", "LAB-1"]),
        ({"category": "0101"}, ["LAB-1"]),
        ({"category": "%"}, []),
        ({"capability": "electron_microscopy"}, ["LAB-1"]),
        ({"capability": "volume_l"}, ["BASE-1"]),
        ({"capability": "volume_l>=50"}, ["BASE-1"]),
        ({"capability": "volume_l>=50.001"}, []),
        ({"capability": "volume_l<=50, volume_l>=10"}, ["BASE-1"]),
        ({"capability": "volume_l<=50,electron_microscopy"}, []),
        ({"capability": "volume_l = 50"}, []),
        ({"capability": ".*"}, []),
        ({"q": "显微", "facility": "BASE"}, ["BASE-2"]),
    ],
)
def test_filters(session, fleet, filters, codes):
    assert found(session, **filters) == codes


NAMES = st.text(alphabet="显微镜光刻机SEMsem 3-\\'%_*:&é😀\u3000顯", min_size=1, max_size=12)


@given(names=st.lists(NAMES, min_size=1, max_size=6), query=NAMES, typed=st.integers(0, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=15)
def test_the_index_finds_exactly_what_the_texts_hold(session, names, query, typed):
    savepoint = session.begin_nested()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL enable_seqscan = off"))
    place = make_facility(session, name_zh="台", name_en="", organisation=make_organisation(session))
    rows = [make_instrument(session, place, name_zh=name, name_en=name) for name in names]
    for asked in (query, names[typed % len(names)], *search.sounds(names[typed % len(names)])[2:3]):
        words = search.words(asked)
        holding = {row.id for row in rows if all(word in row.text.search_text for word in words)}
        page = catalogue.search(session, actor=VISITOR, filters=Filters(q=asked, facility=place.code))
        assert {row.id for row in page.items} == holding, asked
        assert page.total == len(holding)
    savepoint.rollback()


def test_postgresql_can_find_words_by_its_index_of_pieces(session, fleet):
    """What is asked is what the index is of: a plan that reads every text would be as right, and dear with many."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for other in ("enable_seqscan", "enable_indexscan", "enable_indexonlyscan"):
        session.execute(text(f"SET LOCAL {other} = off"))
    for query in ("显微镜", "镜", "microscope", "ct", "xwj sem"):
        wanted = select(InstrumentText.instrument_id).where(*holding(search.words(query)))
        sql = str(wanted.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
        plan = "\n".join(session.scalars(text("EXPLAIN " + sql.replace(":", r"\:"))))
        assert INDEX in plan, plan


def test_names_sort_in_the_readers_language(session, fleet):
    lab = fleet.facility
    make_instrument(session, lab, code="Z", name_zh="一号泵", name_en="Pump B")
    make_instrument(session, lab, code="Y", name_zh="二号泵", name_en="Pump A")
    assert found(session, q="泵", locale="en") == ["Y", "Z"]
    assert found(session, q="泵", locale="zh_Hans_CN") == ["Z", "Y"]


def test_outsiders_never_see_what_is_not_published(session, fleet):
    network = make_network(session)
    for person in (
        cast.ada(session),
        cast.cleo(session),
        cast.tam(session, fleet.facility),
        cast.nora(session, network),
    ):
        actor = cast.actor_of(session, person)
        assert "BASE-3" not in found(session, actor, q="显微镜")
        page = catalogue.search(session, actor=actor, filters=Filters())
        assert sum(facet.count for facet in page.facets["facility"]) == 4


def test_staff_officers_and_administrators_see_it(session, fleet):
    page = catalogue.search(session, actor=SYSTEM, filters=Filters(q="秘密"))
    base = page.items[0].facility
    tam = cast.actor_of(session, cast.tam(session, base))
    nora = cast.actor_of(session, cast.nora(session, make_network(session, base)))
    for actor in (tam, nora, SYSTEM):
        assert found(session, actor, q="秘密") == ["BASE-3"]
    reader = cast.actor_of(session, cast.tam(session, base), [Scope.BOOK])
    assert found(session, reader, q="秘密") == []


def counts(page, name):
    return {facet.key: facet.count for facet in page.facets[name]}


def test_facets_count_what_each_choice_would_leave(session, fleet):
    page = catalogue.search(session, actor=VISITOR, filters=Filters())
    assert counts(page, "facility") == {"BASE": 2, "LAB": 2}
    assert counts(page, "network") == {"ALL": 4, "CITY": 2}
    assert counts(page, "kind") == {"device": 2, "station": 1, "line": 1}
    assert counts(page, "category") == {"01": 2, "0101": 1, "0108": 1, "12": 1, "1202": 1}
    assert counts(page, "capability") == {"electron_microscopy": 1, "volume_l": 1}


def test_a_facet_ignores_its_own_filter_and_no_other(session, fleet):
    page = catalogue.search(session, actor=VISITOR, filters=Filters(q="显微", facility="LAB", category="01"))
    assert [row.code for row in page.items] == ["LAB-1"]
    assert page.total == 1
    assert isinstance(page.total, int)  # what is summed up for the facets is no decimal, on any engine
    assert counts(page, "facility") == {"BASE": 1, "LAB": 1}
    assert counts(page, "category") == {"01": 1, "0101": 1}
    assert counts(page, "kind") == {"device": 1}
    assert counts(page, "network") == {"ALL": 1, "CITY": 1}
    able = catalogue.search(session, actor=VISITOR, filters=Filters(capability="volume_l", kind="station"))
    assert counts(able, "capability") == {"volume_l": 1}
    assert counts(able, "kind") == {"station": 1}


def test_facets_have_names_in_both_languages(session, fleet):
    page = catalogue.search(session, actor=VISITOR, filters=Filters(facility="LAB"))
    facet = next(facet for facet in page.facets["category"] if facet.key == "0101")
    assert (facet.label_zh, facet.label_en) == ("电子光学仪器", "Electron-optical instruments")
    assert all(facet.label_zh and facet.label_en for facets in page.facets.values() for facet in facets)


def test_pages_follow_each_other_without_gaps(session, fleet):
    pages = [
        catalogue.search(session, actor=VISITOR, filters=Filters(), page=n, page_size=3) for n in (1, 2, 3)
    ]
    assert [[row.code for row in page.items] for page in pages] == [
        ["BASE-1", "BASE-2", "LAB-1"],
        ["LAB-2"],
        [],
    ]
    assert {page.total for page in pages} == {4}


@pytest.mark.parametrize(("page", "page_size"), [(0, 20), (-1, 20), (10_001, 20), (1, 0), (1, 101)])
def test_pages_that_do_not_exist_are_refused(session, page, page_size):
    with pytest.raises(Invalid):
        catalogue.search(session, actor=VISITOR, filters=Filters(), page=page, page_size=page_size)


def test_words_nobody_types_are_refused():
    with pytest.raises(Invalid) as wrong:
        Filters(q="a" * 201, kind="b" * 201)
    assert wrong.value.errors == {"q": "too_long_text", "kind": "too_long_text"}


def statements(session, call):
    said = []

    def listen(*arguments):
        said.append(arguments[2])

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", listen)
    try:
        call()
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    return len(said)


@pytest.mark.parametrize("filters", [{}, {"q": "仪器"}, {"kind": "device", "category": "01", "q": "仪器"}])
def test_the_number_of_statements_does_not_grow(session, fleet, filters):
    def search():
        with Session(session.connection(), expire_on_commit=False) as fresh:
            page = catalogue.search(fresh, actor=VISITOR, filters=Filters(**filters), page_size=100)
            for row in page.items:
                assert row.facility.organisation.name_zh
                assert row.capabilities is not None
                assert row.prices is not None

    for _ in range(2):
        make_instrument(session, category_code="0101", price=5, capabilities=["drying"])
    few = statements(session, search)
    for _ in range(20):
        place = make_facility(session)
        make_network(session, place)
        make_instrument(session, place, category_code="0101", price=5, capabilities=["drying", "coating"])
    assert statements(session, search) == few <= 7


def test_classes_are_added_once_and_keep_what_was_edited(session):
    catalogue.ensure_categories(session)
    row = session.get(Category, "0101")
    row.name_en = "Edited"
    catalogue.ensure_categories(session)
    assert session.get(Category, "0101").name_en == "Edited"
    assert session.get(Category, "1202").scheme.endswith("(inferred)")
    assert session.get(Category, "0101").parent_code == "01"

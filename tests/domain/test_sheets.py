import io
import re
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from defusedxml.common import EntitiesForbidden
from hypothesis import given
from hypothesis import strategies as st

import booking
from booking import wording
from booking.domain import inventory, sheets, uscc
from booking.domain.hours import ALWAYS, WeeklyHours
from booking.domain.pricing import CustomerClass, Price, Unit
from booking.domain.sheets import Bad, Unreadable
from booking.domain.vocabulary import Ability

COLUMNS = ("code", "name", "units")
DEMO = Path(booking.__file__).parent / "demo" / "inventory.yaml"


def workbook(rows, **parts):
    """An XLSX file with these rows; `parts` are further sheets."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for title, state in parts.items():
        book.create_sheet(title).sheet_state = state
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def unreadable(data, name="a.csv"):
    with pytest.raises(Unreadable) as wrong:
        sheets.read_table(data, name, COLUMNS)
    return wrong.value.code


def bad(read, value):
    with pytest.raises(Bad) as wrong:
        read(value)
    return wrong.value.code


def cells(data, name="a.csv"):
    table = sheets.read_table(data, name, COLUMNS)
    assert table.errors == ()
    return [dict(row.cells) for row in table.rows]


# --- tables ---


def test_utf8_with_and_without_a_mark_and_gb18030_read_alike():
    text = "code,name\nA,扫描电镜\n"
    expected = [{"code": "A", "name": "扫描电镜"}]
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        assert cells(text.encode(encoding)) == expected


@pytest.mark.parametrize("data", ["code\nA".encode("utf-16"), b"code,name\nA,\xff\xff\x00", b"co\0de\nA"])
def test_other_encodings_are_refused(data):
    assert unreadable(data) == "wrong_encoding"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_heading_tells_the_delimiter(delimiter):
    assert cells(f"code{delimiter}name\nA{delimiter}B\n".encode()) == [{"code": "A", "name": "B"}]


def test_rows_keep_their_numbers_over_empty_ones():
    table = sheets.read_table(b"code,name\n\n,\nA,x\n", "a.csv", COLUMNS)
    assert [(row.number, row.cells["code"]) for row in table.rows] == [(4, "A")]


def test_what_is_wrong_with_the_heading_is_named():
    table = sheets.read_table(b"code,colour,code,\nA,red,B,\n", "a.csv", COLUMNS)
    assert [(e.row, e.column, e.code) for e in table.errors] == [
        (1, "colour", "unknown_column"),
        (1, "code", "duplicate_column"),
        (1, "#4", "no_heading"),
    ]


def test_a_row_longer_than_its_heading_is_named():
    table = sheets.read_table(b"code,name\nA,x,y\n", "a.csv", COLUMNS)
    assert [(e.row, e.code) for e in table.errors] == [(2, "too_many_cells")]


def test_an_open_quote_is_refused_with_its_line():
    with pytest.raises(Unreadable) as wrong:
        sheets.read_table(b'code,name\nA,"x\n', "a.csv", COLUMNS)
    assert (wrong.value.code, wrong.value.params["line"]) == ("broken_csv", 2)


@pytest.mark.parametrize("data", [b"", b" \n ", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_refused(data):
    assert unreadable(data) == "file_empty"


def test_a_large_file_is_refused_before_it_is_read():
    assert unreadable(b"a" * (sheets.MOST_BYTES + 1)) == "file_too_large"


def test_too_many_rows_are_refused():
    assert unreadable(b"code\n" + b"A\n" * (sheets.MOST_ROWS + 1)) == "too_many_rows"
    assert len(cells(b"code\n" + b"A\n" * sheets.MOST_ROWS)) == sheets.MOST_ROWS


# --- workbooks ---


def test_a_workbook_reads_as_its_csv_does():
    data = workbook([["code", "name", "units"], ["A", "扫描电镜", 3], [None, None, None], ["B", "x", 2.0]])
    table = sheets.read_table(data, "a.xlsx", COLUMNS)
    assert [(row.number, dict(row.cells)) for row in table.rows] == [
        (2, {"code": "A", "name": "扫描电镜", "units": 3}),
        (4, {"code": "B", "name": "x", "units": 2}),
    ]


def test_hidden_sheets_are_passed_over():
    book = openpyxl.Workbook()
    book.active.append(["code"])
    book.active.append(["HIDDEN"])
    book.active.sheet_state = "hidden"
    book.create_sheet("shown").append(["code"])
    book["shown"].append(["A"])
    book.active = 1
    out = io.BytesIO()
    book.save(out)
    assert cells(out.getvalue(), "a.xlsx") == [{"code": "A"}]


def test_a_formula_in_a_workbook_is_refused_whatever_it_would_give():
    table = sheets.read_table(workbook([["code", "name"], ["A", "=1+1"]]), "a.xlsx", COLUMNS)
    value = table.rows[0].cells["name"]
    for read in (
        sheets.text(20),
        sheets.whole(0, 9),
        sheets.yes_no,
        sheets.day,
        sheets.listed(sheets.text(9)),
    ):
        assert bad(read, value) == "formula"
    assert not sheets.is_empty(value)


def test_a_formula_in_a_csv_is_refused_and_a_minus_is_text():
    assert bad(sheets.text(20), '=HYPERLINK("http://example.org")') == "formula"
    assert sheets.text(20)("-80°C") == "-80°C"
    assert bad(sheets.whole(0, 9), "=1+1") == "formula"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"PK\x03\x04 broken", "a.xlsx"),
        (b"code\nA", "a.xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.xls"),
    ],
)
def test_what_is_no_workbook_is_refused(data, name):
    assert unreadable(data, name) == "not_a_workbook"


def test_a_workbook_whose_parts_are_broken_is_refused():
    data = repacked(
        workbook([["code"], ["A"]]), {"xl/worksheets/sheet1.xml": b"<worksheet><row></worksheet>"}
    )
    assert unreadable(data, "a.xlsx") == "not_a_workbook"


def repacked(data, changed, method=zipfile.ZIP_DEFLATED):
    """The workbook with some of its parts replaced or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", method) as new:
        for entry in old.namelist():
            if entry not in changed:
                new.writestr(entry, old.read(entry))
        for entry, content in changed.items():
            new.writestr(entry, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "doctype",
    [
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',  # reads the server's files
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY e "&a;&a;&a;&a;">]>',  # grows
    ],
)
@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "[Content_Types].xml"])
def test_entities_in_a_workbook_are_refused(doctype, part):
    book = workbook([["code"], ["A"]])
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        content = archive.read(part)
    content = doctype + re.sub(rb"^<\?xml.*?\?>", b"", content).replace(b"<t>A</t>", b"<t>&e;</t>")
    with pytest.raises(Unreadable) as wrong:
        sheets.read_table(repacked(book, {part: content}), "a.xlsx", COLUMNS)
    cause = wrong.value.__cause__
    assert isinstance(cause, EntitiesForbidden) or isinstance(cause.__cause__, EntitiesForbidden)


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(openpyxl, "load_workbook", lambda *_a, **_k: pytest.fail("parsed"))
    book = workbook([["code"], ["A"]])
    megabytes = {f"xl/{n}.bin": bytes(range(256)) * 4096 * 5 for n in range(5)}  # stored: the ratio is fine
    assert unreadable(repacked(book, megabytes, zipfile.ZIP_STORED), "a.xlsx") == "file_too_large"
    assert unreadable(repacked(book, {"xl/a.bin": b"0" * 5_000_000}), "a.xlsx") == "archive_ratio"
    mixed = b"".join(bytes([i % 251]) * 60 for i in range(400_000))
    assert unreadable(repacked(book, {"xl/a.bin": mixed}), "a.xlsx") == "archive_unpacked"
    many = {f"xl/{n}.bin": b"" for n in range(sheets.MOST_ENTRIES)}
    assert unreadable(repacked(book, many), "a.xlsx") == "archive_entries"


def test_a_cell_far_away_costs_nothing():
    """Rows between are made up by the reader, up to a million of them with 16,384 cells each."""
    book = openpyxl.Workbook()
    book.active.append(["code"])
    book.active["A2"] = "A"
    book.active["A1048576"] = "far"
    out = io.BytesIO()
    book.save(out)
    assert cells(out.getvalue(), "a.xlsx") == [{"code": "A"}]
    book.active["XFD2"] = "wide"
    out = io.BytesIO()
    book.save(out)
    table = sheets.read_table(out.getvalue(), "a.xlsx", COLUMNS)
    assert len(table.rows) == 1


def test_dates_and_truth_of_a_workbook_come_as_such():
    data = workbook([["code", "name", "units"], [date(2026, 3, 1), True, "#N/A"]])
    assert cells(data, "a.xlsx") == [{"code": date(2026, 3, 1), "name": True, "units": "#ERROR"}]


# --- YAML ---


def yaml_code(text):
    with pytest.raises(Unreadable) as wrong:
        sheets.read_yaml(text.encode())
    return wrong.value.code


def test_yaml_gives_plain_values():
    assert sheets.read_yaml("a: [1, 二, {b: 2026-01-02}]".encode()) == {
        "a": [1, "二", {"b": date(2026, 1, 2)}]
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: &x [1]\nb: *x", "yaml_reference"),
        ("a: 1\na: 2", "duplicate_key"),
        ("a: [1", "broken_yaml"),
        ("a: !!python/object/apply:os.system ['true']", "broken_yaml"),
        ("a: 2026-13-45", "broken_yaml"),
        ("[" * 1000, "yaml_depth"),
        ("{a: " * 100_000, "yaml_depth"),
        ("a: \x01", "broken_yaml"),
        ("[" + "[]," * (sheets.MOST_VALUES // 2) + "]", "yaml_values"),
    ],
)
def test_yaml_that_could_harm_is_refused(text, code):
    assert yaml_code(text) == code


# --- cells ---


@given(st.text())
def test_text_is_read_to_itself_or_refused(value):
    try:
        found = sheets.text(50)(value)
    except Bad as wrong:
        code = wrong.code
        assert code in {"formula", "control_characters", "too_long_text"}
    else:
        assert len(found) <= 50
        assert "\n" not in found
        assert found.isprintable() or not set(found) & set("\u202e\0\x1b\r")


@pytest.mark.parametrize("value", ["a\0b", "a\x1bb", "a\nb", "a\u202eb", "a\u2028b", "a\ud800b", "a\u2066b"])
def test_control_characters_are_refused(value):
    assert bad(sheets.text(50), value) == "control_characters"


def test_long_text_may_have_lines_and_nothing_worse():
    assert sheets.text(50, lines=True)("a\r\nb") == "a\nb"
    assert bad(sheets.text(50, lines=True), "a\0b") == "control_characters"
    assert bad(sheets.text(3), "abcd") == "too_long_text"
    assert bad(sheets.text(3), True) == "not_text"


@pytest.mark.parametrize("value", ["x", "1e999999999", "nan", "inf", "1_000", "０x1", "1" * 50, True, [1]])
def test_what_is_no_number_is_refused(value):
    assert bad(sheets.number(0, 10, places=2), value) in {"not_a_number", "too_large"}


def test_numbers_keep_to_their_limits():
    read = sheets.number(0, 10, places=2)
    assert read("1.50") == Decimal("1.50")
    assert read("１") == Decimal(1)
    assert bad(read, "-0.01") == "too_small"
    assert bad(read, "10.01") == "too_large"
    assert bad(read, "1.234") == "too_many_places"
    assert bad(sheets.whole(1, 5), "1.5") == "not_whole"
    assert sheets.whole(1, 5)(2.0) == 2


def test_yes_no_and_dates():
    assert [sheets.yes_no(value) for value in ("yes", "是", True, "0", "否", "FALSE")] == [True] * 3 + [
        False
    ] * 3
    assert bad(sheets.yes_no, "maybe") == "not_yes_or_no"
    assert sheets.day("2026-02-28") == date(2026, 2, 28)
    for value in ("2026-02-30", "28.2.2026", "2026-1-1", 20260101):
        assert bad(sheets.day, value) == "not_a_date"


@given(st.text(max_size=20))
def test_a_written_cell_never_calculates_and_reads_back(value):
    heading = ("code", "name")
    csv = sheets.write_csv(heading, [("A", value)])
    line = csv.decode("utf-8-sig").split("\r\n", 1)[1]
    assert not re.match(r'A,"?(?:[=+\-@\t]|\r(?!\n))', line)
    try:
        plain = sheets.text(20)(value)
    except Bad:
        return
    found = sheets.read_table(csv, "a.csv", heading).rows[0].cells["name"]
    assert sheets.is_empty(found) or sheets.text(20)(found) == plain


def test_a_written_workbook_holds_texts_only():
    data = sheets.write_xlsx(("code", "name"), [("A", "=1+1"), ("B", "-5"), ("C", 7)], title="x")
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    assert [(cell.value, cell.data_type) for cell in sheet["B"]] == [
        ("name", "s"),
        ("'=1+1", "s"),
        ("'-5", "s"),
        (7, "n"),
    ]


# --- inventories ---


def read(text, name="a.csv"):
    return inventory.read(text.encode(), name)


def places(found):
    return [(error.row, error.key, error.column, error.code) for error in found.errors]


def test_each_bad_cell_has_one_error():
    found = read(
        "code,facility,name_zh,kind,units,published\n"
        "A-1,LAB,名,device,0,yes\n"
        ",LAB,名,device,1,yes\n"
        "A-1,LAB,,rocket,x,perhaps\n"
    )
    assert places(found) == [
        (2, "A-1", "units", "too_small"),
        (3, "", "code", "required"),
        (4, "A-1", "name_zh", "required"),
        (4, "A-1", "kind", "unknown"),
        (4, "A-1", "units", "not_a_number"),
        (4, "A-1", "published", "not_yes_or_no"),
        (4, "A-1", "code", "duplicate"),
    ]


def test_a_file_without_codes_says_so():
    assert places(read("name_zh\n名\n"))[0] == (1, "", "code", "missing_column")


def test_columns_that_are_not_there_are_not_stated():
    (record,) = read("code,name_en\nA,x\n").instruments
    assert record.stated == {"name_en": "x"}


def test_an_empty_cell_states_the_default():
    (record,) = read("code,units,longest_minutes,opening\nA,,,\n").instruments
    assert record.stated == {"units": 1, "longest_minutes": None, "opening": ()}


def test_words_of_a_kind_come_in_both_languages():
    for word in ("device", "Instrument", "仪器", "DEVICE"):
        assert inventory.check("kind", word) == "device"


def test_a_class_code_that_lost_its_zero_is_mended():
    assert [inventory.check("category", value) for value in (101, "1", "0101")] == ["0101", "01", "0101"]
    assert bad(lambda value: inventory.check("category", value), "01a1") == "malformed"


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("always", ALWAYS),
        ("Mon 08:30-17:30", (WeeklyHours(0, 510, 1050),)),
        ("周六至周日 9:00-24:00", (WeeklyHours(5, 540, 1440), WeeklyHours(6, 540, 1440))),
        ("Sun 14:00-18:00; Sun 09:00-12:00", (WeeklyHours(6, 540, 720), WeeklyHours(6, 840, 1080))),
        ("Sat - Mon 09:00-12:00", tuple(WeeklyHours(day, 540, 720) for day in (0, 5, 6))),
    ],
)
def test_hours_are_read(text, hours):
    assert inventory.check("opening", text) == hours
    assert inventory.check("opening", inventory.hours_text(hours)) == hours


@pytest.mark.parametrize(
    "text",
    [
        "Mon",
        "Mon 9-17",
        "Mon 17:00-09:00",
        "Xyz 09:00-10:00",
        "Mon 09:00-25:00",
        "Mon 09:60-10:00",
        "Mon-Tue-Wed 09:00-10:00",
    ],
)
def test_hours_that_no_week_has_are_refused(text):
    assert bad(lambda value: inventory.check("opening", value), text) == "not_hours"


def test_capabilities_are_read():
    assert inventory.check("capabilities", "volume_l=50 L; drying") == (
        Ability("drying"),
        Ability("volume_l", Decimal("50.000"), "L"),
    )
    assert bad(lambda value: inventory.check("capabilities", value), "Dry ing") == "not_a_capability"
    assert bad(lambda value: inventory.check("capabilities", value), "a=1; a=2") == "duplicate"


def test_values_that_contradict_each_other_are_found():
    values = {
        **inventory.defaults(),
        "kind": "device",
        "shortest_minutes": 60,
        "longest_minutes": 30,
        "parts": ("B",),
    }
    assert [(column, code) for column, code, _ in inventory.contradictions(values)] == [
        ("longest_minutes", "too_small"),
        ("parts", "not_a_line"),
    ]


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv"])
def test_the_template_reads_back_without_an_error(name):
    found = inventory.read(inventory.template(name), name)
    assert found.errors == ()
    assert set(found.instruments[0].stated) == set(inventory.COLUMNS) - {"code"}


def test_no_other_template_is_written():
    with pytest.raises(Unreadable):
        inventory.template("a.ods")


# --- the demo inventory ---


@pytest.fixture(scope="module")
def demo():
    return inventory.read(DEMO.read_bytes(), DEMO.name)


def test_the_demo_inventory_is_sound(demo):
    assert demo.errors == ()
    assert (len(demo.instruments), len(demo.facilities), len(demo.networks)) == (60, 10, 2)
    assert all(record.filled["capabilities"] for record in demo.instruments)
    assert all("演示数据" in record.filled["about_zh"] for record in demo.instruments)
    assert all("Demo data" in record.filled["about_en"] for record in demo.instruments)
    approved = sum(record.filled["approval_required"] for record in demo.instruments)
    assert 15 <= approved <= 25


def record_of(demo, code):
    return next(record for record in demo.instruments if record.code == code)


def test_figures_of_the_inventory_become_policy(demo):
    sem = record_of(demo, "DG-SLAB-05").stated
    assert sem["kind"] == "device"
    assert (sem["step_minutes"], sem["shortest_minutes"], sem["longest_minutes"]) == (30, 30, 480)
    assert (sem["notice_minutes"], sem["horizon_minutes"]) == (1440, 366 * 1440)
    assert (sem["setup_minutes"], sem["cleanup_minutes"]) == (15, 15)
    assert (sem["price_internal"], sem["sample_price_external"]) == (180, 600)
    channels = record_of(demo, "DG-SSB-04").stated
    assert (channels["units"], channels["unit_name"], channels["price_unit"]) == (
        512,
        "channel",
        "channel_hour",
    )


def test_stations_that_are_instruments_become_parts(demo):
    line = record_of(demo, "DG-SLAB-06").stated
    assert line["parts"] == ("DG-SLAB-01", "DG-SLAB-03", "DG-SLAB-04")
    assert record_of(demo, "DG-ZGC-01").stated["parts"] == ()
    assert len(record_of(demo, "DG-ZGC-01").stated["stations"]) == 5


def test_opening_follows_the_longest_use(demo):
    assert record_of(demo, "DG-SLAB-01").filled["opening"] == ()
    assert record_of(demo, "DG-SLAB-05").filled["opening"] == inventory.LONG_DAY
    assert record_of(demo, "DG-SLAB-06").filled["opening"] == ALWAYS


def item(**changes):
    values = {
        "id": "X-1",
        "facility": "LAB",
        "name_zh": "名",
        "kind": "instrument",
        "booking": {"min_h": 1, "max_h": 2, "step_min": 30, "lead_days": 1},
        **changes,
    }
    return inventory._Yaml("a.yaml", {"items": [values]}).inventory()


@pytest.mark.parametrize(
    ("changes", "column", "code"),
    [
        ({"facility": None}, "facility", "required"),
        ({"colour": "red"}, "colour", "unknown_column"),
        ({"booking": {"min_h": 0}}, "booking.min_h", "out_of_range"),
        ({"booking": {"min_h": 0.001}}, "booking.min_h", "out_of_range"),
        ({"booking": {"min_h": float("nan")}}, "booking.min_h", "not_a_number"),
        ({"booking": "long"}, "booking", "not_a_mapping"),
        ({"booking": {"max": 3}}, "booking.max", "unknown_column"),
        ({"rate": {"unit": "week"}}, "rate.unit", "unknown"),
        ({"rate": {"ext": -1}}, "rate.ext", "too_small"),
        ({"capacity": {"concurrent_bookings": 0}}, "capacity.concurrent_bookings", "too_small"),
        ({"hazards": ["dragons"]}, "hazards", "unknown"),
        ({"hazards": ["vacuum", "vacuum"]}, "hazards", "duplicate"),
        ({"needs_training": "maybe"}, "needs_training", "unknown"),
        ({"name_zh": ["a"]}, "name_zh", "not_text"),
        ({"name_zh": False}, "name_zh", "not_text"),
        ({"class4": "abcd"}, "class4", "malformed"),
        ({"extra": [1]}, "extra", "not_a_mapping"),
        ({"id": 7.5}, "", ""),
    ],
)
def test_each_bad_value_of_yaml_is_named(changes, column, code):
    errors = [(error.column, error.code) for error in item(**changes).errors]
    assert errors == ([(column, code)] if code else [])


@pytest.mark.parametrize("root", [[], "text", 5, None])
def test_yaml_that_is_no_inventory_is_refused(root):
    with pytest.raises(Unreadable) as wrong:
        inventory._Yaml("a.yaml", root).inventory()
    assert wrong.value.code == "not_an_inventory"


def test_sections_of_the_wrong_sort_are_named():
    found = inventory._Yaml("a.yaml", {"items": {"a": 1}, "facilities": ["x"], "networks": [{"id": "N"}]})
    assert {(error.key, error.column, error.code) for error in found.inventory().errors} >= {
        ("", "items", "not_a_list"),
        ("facilities[0]", "", "not_a_mapping"),
        ("N", "name_zh", "required"),
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(
        [
            "id",
            "facility",
            "name_zh",
            "kind",
            "booking",
            "rate",
            "capacity",
            "extra",
            "modes",
            "opening",
            "price_from",
        ]
    ),
)
def test_whatever_a_key_holds_is_read_or_named(value, key):
    found = item(**{key: value})
    assert found.instruments or found.errors


# --- prices ---

DAY = date(2026, 1, 1)
LATER = date(2026, 7, 1)
INTERNAL, EXTERNAL = CustomerClass.INTERNAL, CustomerClass.EXTERNAL


def price(amount, since, until=None, unit=Unit.HOUR, who=INTERNAL):
    return Price(who, unit, Decimal(amount), since, until)


def test_a_first_price_stands_from_its_day():
    assert inventory.reprice([], INTERNAL, Unit.HOUR, Decimal(10), DAY) == [price(10, DAY)]


def test_the_same_amount_changes_nothing():
    rows = [price(10, DAY)]
    assert inventory.reprice(rows, INTERNAL, Unit.HOUR, Decimal(10), LATER) == rows


def test_a_later_price_ends_the_earlier():
    assert inventory.reprice([price(10, DAY)], INTERNAL, Unit.HOUR, Decimal(12), LATER) == [
        price(10, DAY, LATER),
        price(12, LATER),
    ]


def test_a_price_of_the_same_day_is_corrected():
    assert inventory.reprice([price(10, DAY)], INTERNAL, Unit.HOUR, Decimal(12), DAY) == [price(12, DAY)]


def test_a_price_before_another_ends_where_that_begins():
    assert inventory.reprice([price(12, LATER)], INTERNAL, Unit.HOUR, Decimal(10), DAY) == [
        price(10, DAY, LATER),
        price(12, LATER),
    ]


def test_no_amount_ends_the_price():
    assert inventory.reprice([price(10, DAY)], INTERNAL, Unit.HOUR, None, LATER) == [price(10, DAY, LATER)]
    assert inventory.reprice([price(10, DAY)], INTERNAL, Unit.HOUR, None, DAY) == []
    assert inventory.reprice([], INTERNAL, Unit.HOUR, None, DAY) == []


def test_other_classes_and_samples_are_left_alone():
    rows = [price(5, DAY, who=EXTERNAL), price(99, DAY, unit=Unit.SAMPLE)]
    assert set(inventory.reprice(rows, INTERNAL, Unit.HOUR, Decimal(10), DAY)) == {*rows, price(10, DAY)}


def test_an_hour_becomes_a_channel_hour():
    assert inventory.reprice([price(10, DAY)], INTERNAL, Unit.CHANNEL_HOUR, Decimal(10), DAY) == [
        price(10, DAY, unit=Unit.CHANNEL_HOUR)
    ]


days = st.dates(date(2026, 1, 1), date(2026, 1, 12))


@given(
    st.lists(st.tuples(days, st.none() | st.integers(0, 3), st.sampled_from([Unit.HOUR, Unit.CHANNEL_HOUR])))
)
def test_however_prices_are_set_one_is_in_force_on_each_day(settings):
    rows = []
    for since, amount, unit in settings:
        rows = inventory.reprice(rows, INTERNAL, unit, None if amount is None else Decimal(amount), since)
        current = [row for row in rows if row.applies(INTERNAL, since)]
        assert [(row.amount, row.unit) for row in current] == ([] if amount is None else [(amount, unit)])
    for n in range(1, 13):
        assert len([row for row in rows if row.applies(INTERNAL, date(2026, 1, n))]) <= 1
    assert all(row.valid_to is None or row.valid_from < row.valid_to for row in rows)


# --- credit codes ---


def test_credit_codes_are_checked():
    for code in ("91110108551385082Q", "91110000600037341L", "91000000000000019G", "12000000000000019M"):
        assert uscc.is_valid(code)
    for code in ("91110108551385082R", "9111010855138508", "91110108551385082I", "９1110108551385082Q"):
        assert not uscc.is_valid(code)


# --- wording ---


def test_every_code_of_an_import_has_a_sentence():
    root = Path(booking.__file__).parent
    sources = [root / "domain" / name for name in ("sheets.py", "inventory.py")]
    sources += [root / "services" / "imports.py"]
    text = "".join(path.read_text() for path in sources)
    codes = set(re.findall(r'(?:Bad|Unreadable)\(\s*"([a-z_]+)"', text))
    codes |= set(
        re.findall(r'(?:CellError|_wrong)\((?:[^()]|\([^()]*\))*?, "([a-z_]+)"(?:, \{|, \w+=|\))', text)
    )
    codes |= {f"part_{code}" for code in ("unknown", "line_in_line", "other_facility")}
    assert len(codes) > 50
    assert codes - set(wording.CELLS) == set()

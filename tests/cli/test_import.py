import gzip
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

import booking
from booking import db
from booking.cli.data import import_
from booking.domain import sheets
from models import Facility, Instrument

DEMO = Path(booking.__file__).parent / "demo" / "inventory.yaml"


@pytest.fixture
def run(database_url, monkeypatch):
    yield from runner(database_url, monkeypatch)


@pytest.fixture
def run_on_sqlite(sqlite_url, monkeypatch):
    """For what never reaches the database."""
    yield from runner(sqlite_url, monkeypatch)


def runner(url, monkeypatch):
    monkeypatch.setenv("YIQI_DATABASE_URL", url)

    def call(*arguments, code=0):
        result = CliRunner().invoke(import_, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output + repr(result.exception)
        return result

    yield call
    db.dispose()


def instruments():
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Instrument))


def test_the_demo_inventory_comes_in_once(run):
    assert "nothing was written" in run("instruments", DEMO, "--dry-run").output
    assert instruments() == 0
    first = run("instruments", DEMO).output
    assert "new instrument DG-SLAB-05" in first
    assert "DG-SLAB-06: A line has no more units than its scarcest station: 1 as DG-SLAB-01, not 2." in first
    assert "72 created, 0 changed, 0 unchanged." in first
    assert "0 created, 0 changed, 72 unchanged." in run("instruments", DEMO).output
    assert instruments() == 60


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_the_template_can_be_filled_in(run_on_sqlite, tmp_path, ending):
    run = run_on_sqlite
    sheet = tmp_path / f"a.{ending}"
    run("template", sheet)
    assert "--force" in run("template", sheet, code=1).output
    run("template", sheet, "--force")
    wrong = run("instruments", sheet, code=1)
    assert "row 2, LAB-01, facility: unknown_facility: There is no facility LAB." in wrong.output
    run("instruments", DEMO)
    if ending == "csv":
        sheet.write_bytes(sheet.read_bytes().replace(b",LAB,", b",DG-SLAB,"))
    else:
        book = openpyxl.load_workbook(sheet)
        book.active["B2"] = "DG-SLAB"
        book.save(sheet)
    assert "1 created, 0 changed, 0 unchanged." in run("instruments", sheet).output
    assert "0 created, 0 changed, 1 unchanged." in run("instruments", sheet).output


def test_changes_are_told_field_by_field(run, tmp_path):
    run("instruments", DEMO)
    sheet = tmp_path / "a.csv"
    sheet.write_text(
        "code,units,price_external,price_from,hazards\nDG-SLAB-05,2,400,2026-12-01,vacuum;noise\n"
    )
    for arguments in (("--dry-run",), ()):
        output = run("instruments", sheet, *arguments).output
        assert "instrument DG-SLAB-05: units: 1 → 2; hazards: vacuum → vacuum, noise; price_external: 350.00 → 400.00" in output  # fmt: skip  # noqa: E501


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 50_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.csv", b"", "file_empty"),
        ("a.csv", b"a" * (sheets.MOST_BYTES + 1), "file_too_large"),
        ("a.csv", b"\xff\xfe\x00", "wrong_encoding"),
        ("a.csv", gzip.compress(b"code\nA", mtime=0), "wrong_encoding"),
        ("a.csv", b'code,"name\nA', "broken_csv"),
        ("a.csv", b"colour\nred", "unknown_column"),
        ("a.csv", b"code,units\nDG-SLAB-05,=1+1", "formula"),
        ("a.csv", b"code,name_zh\nDG-SLAB-05,a\x1bb", "control_characters"),
        ("a.csv", "code,name_zh\nDG-SLAB-05,{}".format("长" * 400).encode(), "too_long_text"),
        ("a.xlsx", b"no workbook", "not_a_workbook"),
        ("a.xlsx", bomb(), "archive_unpacked"),
        ("a.yaml", b"items: [", "broken_yaml"),
        ("a.yaml", b"a: &a [x]\nb: [*a, *a]", "yaml_reference"),
        ("a.yaml", b"- 1", "not_an_inventory"),
        ("a.yaml", b"items: [{id: X}]", "required"),
    ],
)
def test_a_broken_file_is_told_and_nothing_is_written(run_on_sqlite, tmp_path, name, data, code):
    file = tmp_path / name
    file.write_bytes(data)
    result = run_on_sqlite("instruments", file, code=1)
    assert code in result.stderr
    assert "nothing was written" in result.stderr
    assert "Traceback" not in result.output


def test_one_bad_cell_holds_back_all_of_a_file(run, tmp_path):
    run("instruments", DEMO)
    sheet = tmp_path / "a.csv"
    sheet.write_text("code,name_en,units\nDG-SLAB-05,New,1\nDG-SLAB-04,New,0\n")
    result = run("instruments", sheet, code=1)
    assert "a.csv: row 3, DG-SLAB-04, units: too_small: It must be at least 1." in result.stderr
    with db.reading() as session:
        assert session.scalars(select(Instrument.name_en).where(Instrument.name_en == "New")).all() == []


def test_a_fault_late_in_the_writing_leaves_nothing(run, monkeypatch):
    from booking.services import instruments as service

    def fail(*_arguments, **_keywords):
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(service, "write_parts", fail)
    run("instruments", DEMO, code=1)
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Facility)) == 0
    assert instruments() == 0


def test_a_file_that_is_not_there_is_told(run_on_sqlite, tmp_path):
    run = run_on_sqlite
    assert "does not exist" in run("instruments", tmp_path / "none.csv", code=2).output
    assert run("template", tmp_path / "a.ods", code=1).output

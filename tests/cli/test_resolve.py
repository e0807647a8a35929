"""`yiqi resolve pool`: JSON in, JSON out, and what is said where it is none."""

import json

import pytest
from click.testing import CliRunner

from booking.cli.resolve import resolve
from booking.domain.resolution import check, documents
from tests import pools


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(resolve, ["pool", *map(str, words)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(documents.write_pool(pools.pool("S", 6))))
    return path


def test_the_plan_on_the_standard_output_is_what_the_figures_say(run, file):
    ended = run(file, "--work", 2, "--seed", 3)
    assert ended.exit_code == 0
    pool = documents.read_pool(json.loads(file.read_text()))
    verdict = check.judged(pool, documents.read_plan(json.loads(ended.stdout)))
    assert f"objective {verdict.objective}, bound " in ended.stderr
    assert f"seed 3, input {documents.fingerprint(pool)}" in ended.stderr
    assert run(file, "--work", 2, "--seed", 3, "--quiet").stdout == ended.stdout


def test_quiet_says_nothing_but_the_plan(run, file):
    ended = run(file, "--seconds", 0, "--quiet")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is no JSON document"), ('{"start": "2026-09-21"}', "is no pool"), ("[]", "is no pool")],
)
def test_what_is_no_pool_is_told(run, tmp_path, text, said):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    ended = run(path)
    assert ended.exit_code == 1
    assert said in ended.stderr


def test_a_file_that_is_not_there_is_told(run, tmp_path):
    ended = run(tmp_path / "none.json")
    assert ended.exit_code == 1
    assert "cannot be read" in ended.stderr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import search, vocabulary


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SEM", ["sem"]),
        ("ＳＥＭ　扫描电镜", ["sem", "扫描电镜"]),
        ("  a,b;c (d) “e”、f ", ["a", "b", "c", "d", "e", "f"]),
        ("a a A", ["a"]),
        ("100% _x \\", ["100%", "_x", "\\"]),
        ("a\0b\x1bc\u202ed", ["a", "b", "c", "d"]),
        ("😀 中", ["😀", "中"]),
        ("掃描 電鏡 SEM", ["扫描", "电镜", "sem"]),
        ("", []),
        (" \t\n", []),
        ("1 2 3 4 5 6 7 8 9 10", list("12345678")),
    ],
)
def test_words_of_a_query(query, found):
    assert search.words(query) == found


@given(st.text(max_size=400))
def test_words_are_few_short_and_without_controls(query):
    found = search.words(query)
    assert len(found) <= search.MOST_WORDS
    assert all(word == word.strip() and "\0" not in word for word in found)


def test_a_long_query_is_cut():
    assert search.words("a" * 5000) == ["a" * search.LONGEST_QUERY]


@pytest.mark.parametrize(
    ("name", "heard"),
    [
        ("光刻机", ["guangkeji", "guang ke ji", "gkj", "g k j"]),
        ("SMT贴片线", ["smttiepianxian", "smt tie pian xian", "smttpx", "smt t p x"]),
        ("3米法(EMC)", ["3mifaemc", "3 mi fa emc", "3mfemc", "3 m f emc"]),
        ("重庆银行", ["chongqingyinhang", "chong qing yin hang", "cqyh", "c q y h"]),
        ("SEM", []),
    ],
)
def test_sounds_of_a_name(name, heard):
    assert search.sounds(name) == heard


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("显微镜", ["显微镜"]),
        ("镜", ["镜"]),
        ("电镜", ["电镜"]),
        ("microscope", ["mic", "ros", "cop", "ope"]),
        ("aaaa", ["aaa"]),
        ("ct", ["ct"]),
        ("x", []),
        ("", []),
    ],
)
def test_pieces_of_a_word(word, pieces):
    assert search.pieces(word) == pieces


@given(st.text(alphabet="ab镜\\'-", max_size=30))
def test_pieces_lie_in_every_text_that_holds_the_word_and_leave_no_letter_out(word):
    found = search.pieces(word)
    assert all(piece in word for piece in found)
    assert set("".join(found)) == set(word) or len(word) < 2


def text():
    return search.text(["场发射扫描电子显微镜", "Field-emission SEM"], ["DG-1", "Example", "", "东莞"])


@pytest.mark.parametrize(
    "word",
    ["扫描电子", "field-emission", "dg-1", "saomiao", "smdzxwj", "扫描电镜", "电镜", "example", "东莞"],
)
def test_a_name_is_found_by_characters_pinyin_initials_and_synonyms(word):
    assert word in text()


def test_the_text_is_lower_case_with_a_space_around_each_word():
    assert text() == text().lower()
    assert " sem " in text()
    assert text().startswith(" ")
    assert text().endswith(" ")


def test_latin_synonyms_count_whole_words_only():
    """`sem` in assembly is no microscope."""
    assert "电镜" not in search.text(["SMT贴片线", "SMT assembly"], [])
    assert "电镜" in search.text(["设备", "SEM"], [])


def test_every_group_of_synonyms_is_lower_case_and_in_one_group():
    words = [word for group in search.SYNONYMS for word in group]
    assert [word for word in words if word != word.lower()] == []
    assert len(words) == len(set(words))


# --- the vocabulary ---


def test_classes_have_their_parents_first_and_both_names():
    codes = [one.code for one in vocabulary.CLASSES]
    assert codes == sorted(codes)
    assert {code[:-2] for code in codes if len(code) == 4} <= set(codes)
    assert all(one.name.zh and one.name.en for one in vocabulary.CLASSES)
    assert {one.code[:2] for one in vocabulary.CLASSES if one.scheme == vocabulary.INFERRED} == {
        "12",
        "13",
        "14",
    }


def test_abilities_have_names():
    known = {tag for _, tags in vocabulary._BY_WORD for tag in tags}
    known |= set(vocabulary._BY_CLASS.values()) | {row[0] for row in vocabulary._BY_UNIT.values()}
    assert known <= set(vocabulary.ABILITIES)
    assert vocabulary.ability_name("no_such_tag") == ("no such tag", "no such tag")


def test_regions_name_their_province_first():
    assert [name.en for name in vocabulary.region_names("441900")] == ["Guangdong", "Dongguan"]
    assert [name.zh for name in vocabulary.region_names("440000")] == ["广东省"]
    assert vocabulary.region_names("") == vocabulary.region_names("999999") == []

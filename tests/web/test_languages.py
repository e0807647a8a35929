"""How dates, money, names and lengths look in each language, and how a language is found."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from gettext import NullTranslations
from types import SimpleNamespace

import pytest

from booking import i18n
from booking.i18n import use_locale

MORNING = datetime(2026, 11, 2, 1, 30, tzinfo=UTC)
"""09:30 of a Monday in Guangdong, still Sunday in New York."""


def in_each(say, *given) -> list[str]:
    found = []
    for locale in ("en", "zh_Hans_CN", "zh_Hant_HK"):
        with use_locale(locale):
            found.append(say(*given))
    return found


def test_times_stand_on_the_clock_of_the_zone():
    assert in_each(i18n.format_datetime, MORNING, "Asia/Shanghai") == [
        "Mon 2 Nov 2026, 09:30",
        "2026年11月2日 周一 09:30",
        "2026年11月2日 週一 09:30",
    ]
    assert in_each(i18n.format_datetime, MORNING, "America/New_York")[0] == "Sun 1 Nov 2026, 20:30"
    assert in_each(i18n.format_time, MORNING, "Asia/Kolkata") == ["07:00"] * 3
    assert i18n.utc_offset("Asia/Shanghai", MORNING) == "UTC+08:00"
    assert i18n.utc_offset("America/New_York", MORNING) == "UTC-05:00"


def test_days_are_those_of_the_zone():
    assert in_each(i18n.format_date, MORNING, "Asia/Shanghai")[:2] == ["Mon 2 Nov 2026", "2026年11月2日 周一"]
    assert in_each(i18n.format_date, MORNING, "America/New_York")[0] == "Sun 1 Nov 2026"
    assert in_each(i18n.format_date, date(2026, 11, 2))[0] == "Mon 2 Nov 2026"


def test_what_ends_with_a_day_is_due_on_that_day():
    midnight = datetime(2026, 11, 24, 16, tzinfo=UTC)
    said = in_each(i18n.format_deadline, midnight, "Asia/Shanghai")
    assert said[:2] == ["Tue 24 Nov 2026, 24:00", "2026年11月24日 周二 24:00"]
    assert in_each(i18n.format_deadline, midnight, "Europe/Berlin")[0] == "Tue 24 Nov 2026, 17:00"


def test_a_span_says_its_day_once():
    assert in_each(i18n.format_span, MORNING, MORNING + timedelta(hours=2), "Asia/Shanghai")[0] == (
        "Mon 2 Nov 2026, 09:30 – 11:30"
    )
    assert in_each(i18n.format_span, MORNING, MORNING + timedelta(days=1), "Asia/Shanghai")[0] == (
        "Mon 2 Nov 2026, 09:30 – Tue 3 Nov 2026, 09:30"
    )


def test_money_is_yuan():
    assert in_each(i18n.format_money, Decimal("1234.50")) == ["¥1,234.50", "1,234.50元", "人民幣1,234.50元"]
    assert in_each(i18n.format_money, None) == ["–"] * 3


def test_large_amounts_are_said_in_ten_thousands_in_chinese():
    said = in_each(i18n.format_large_money, Decimal(1234500))
    assert said == ["¥1,234,500", "123.45万元", "人民幣123.45萬元"]
    assert in_each(i18n.format_large_money, Decimal(20_000))[1:] == ["2万元", "人民幣2萬元"]
    assert in_each(i18n.format_large_money, Decimal(9999)) == ["¥9,999.00", "9,999.00元", "人民幣9,999.00元"]


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (90, "1 h 30 min"),
        (timedelta(minutes=5), "5 min"),
        (0, "0 min"),
        (24 * 60, "1 day"),
        (timedelta(days=2, hours=3), "2 days 3 h"),
    ],
)
def test_lengths_are_said_in_days_hours_and_minutes(length, said):
    with use_locale("en"):
        assert i18n.format_duration(length) == said


def test_names_fall_back_on_the_other_language():
    both = SimpleNamespace(name_zh="显微镜", name_en="Microscope")
    assert in_each(i18n.name_of, both) == ["Microscope", "显微镜", "顯微鏡"]
    assert in_each(i18n.name_of, SimpleNamespace(name_zh="显微镜", name_en=""))[0] == "显微镜"
    assert in_each(i18n.name_of, SimpleNamespace(name_zh="", name_en="Microscope"))[1] == "Microscope"
    assert in_each(i18n.name_of, SimpleNamespace(name="Ada")) == ["Ada"] * 3


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["zh-TW"], "zh_Hant_HK"),
        (["zh-Hant-MO"], "zh_Hant_HK"),
        (["zh"], "zh_Hans_CN"),
        (["zh-Hans-HK"], "zh_Hans_CN"),
        (["de", "en-US"], "en"),
        (["de", "*"], None),
        ([], None),
    ],
)
def test_the_nearest_language_is_found(tags, found):
    assert i18n.nearest(tags) == found


def test_a_language_lasts_for_its_while_and_an_unknown_one_is_the_default():
    with use_locale("zh_Hant_HK"):
        with use_locale("en"):
            assert i18n.language_tag() == "en"
        assert i18n.language_tag() == "zh-Hant-HK"
    before = i18n.current_locale()
    with use_locale("xx"):
        assert i18n.current_locale() == i18n._Default.locale
    assert i18n.current_locale() == before
    with pytest.raises(ValueError, match="xx"):
        i18n.set_default("xx")


def test_a_language_is_looked_for_when_the_first_word_is_needed():
    asked = []
    try:
        i18n.choose(lambda: asked.append(1) or "en")
        assert asked == []
        assert (i18n.current_locale(), i18n.current_locale()) == ("en", "en")
        assert asked == [1]
    finally:
        i18n.choose(None)


def test_places_in_sentences_are_filled():
    with use_locale("en"):
        assert i18n.gettext("Revoke %(name)s", name="100%") == "Revoke 100%"
        assert i18n.ngettext("%(num)d account", "%(num)d accounts", 2, num=2) == "2 accounts"
        assert i18n.gettext("100 % sure") == "100 % sure"


def test_catalogues_are_read_from_their_source(tmp_path, monkeypatch):
    for locale, translated in (("zh_Hans_CN", "你好"), ("zh_Hant_HK", "")):
        folder = tmp_path / locale / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "messages.po").write_text(
            'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
            f'msgid "Hello"\nmsgstr "{translated}"\n\n#, fuzzy\nmsgid "Maybe"\nmsgstr "也许"\n',
            encoding="utf-8",
        )
    monkeypatch.setattr(i18n, "TRANSLATIONS", tmp_path)
    i18n.catalogue.cache_clear()
    try:
        assert in_each(i18n.gettext, "Hello") == ["Hello", "你好", "你好"]
        assert in_each(i18n.gettext, "Maybe") == ["Maybe"] * 3
    finally:
        i18n.catalogue.cache_clear()


class Broken(NullTranslations):
    """Translations that name what no sentence has, or that cannot be read."""

    def gettext(self, message):
        return f"{message} %(lost)s"

    def ngettext(self, *_forms):
        return "%(num"

    def pgettext(self, *_message):
        return "%(name)d"


def test_a_broken_translation_is_said_in_the_source_and_logged_once(monkeypatch, caplog):
    monkeypatch.setattr(i18n, "catalogue", lambda _locale: Broken())
    with use_locale("zh_Hans_CN"):
        assert [i18n.gettext("%(name)s left", name="Ada") for _ in range(2)] == ["Ada left"] * 2
        assert i18n.ngettext("%(num)d date", "%(num)d dates", 1, num=1) == "1 date"
        assert i18n.ngettext("%(num)d date", "%(num)d dates", 3, num=3) == "3 dates"
        assert i18n.pgettext("who", "By %(name)s", name="Ada") == "By Ada"
    told = [record.fields["sentence"] for record in caplog.records if record.name == "booking.i18n"]
    assert told == ["%(name)s left", "%(num)d date", "%(num)d dates", "By %(name)s"]


def test_a_sentence_that_the_program_itself_breaks_is_no_translators_fault():
    with use_locale("en"), pytest.raises(KeyError):
        i18n.gettext("%(name)s left", who="Ada")


def test_all_english_can_be_stretched_to_see_what_is_cut(request):
    request.addfinalizer(lambda: i18n.pretend(False))
    both = SimpleNamespace(name_zh="显微镜", name_en="Microscope")
    i18n.pretend(True)
    assert in_each(i18n.gettext, "Book")[0] == "⟦Bôôôôķ⟧"
    assert in_each(i18n.name_of, both) == ["⟦Mîîçŕôôšçôôpé⟧", "显微镜", "顯微鏡"]
    with use_locale("en"):
        assert i18n.ngettext("%(num)d day", "%(num)d days", 2, num=2) == "⟦2 dààýš⟧"

"""Languages: which one somebody reads, its catalogue, and how dates, money and names look in it."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import babel.dates
import babel.numbers

from booking.domain.characters import traditional
from booking.domain.pseudo import pseudo

_log = logging.getLogger(__name__)

LOCALES = {"zh_Hans_CN": "简体中文", "zh_Hant_HK": "繁體中文", "en": "English"}
"""Every language that is offered, by its own name."""

SOURCE = "en"
TRANSLATIONS = Path(__file__).resolve().parent / "translations"

_CHINESE = {
    "date": "y年M月d日 EEE",
    "day": "M月d日 EEE",
    "month": "M月",
    "time": "HH:mm",
    "datetime": "y年M月d日 EEE HH:mm",
}
_ENGLISH = {
    "date": "EEE d MMM y",
    "day": "EEE d MMM",
    "month": "MMM",
    "time": "HH:mm",
    "datetime": "EEE d MMM y, HH:mm",
}
_MONEY = {"zh_Hans_CN": "#,##0.00元", "zh_Hant_HK": "人民幣#,##0.00元", "en": "¥#,##0.00"}
_LARGE_MONEY = {"zh_Hans_CN": "#,##0.##万元", "zh_Hant_HK": "人民幣#,##0.##萬元"}
TEN_THOUSAND = 10_000
_PATTERNS = {"zh_Hans_CN": _CHINESE, "zh_Hant_HK": _CHINESE, "en": _ENGLISH}
_TRADITIONAL = {"hant", "hk", "tw", "mo"}

_chosen: ContextVar[str | Callable[[], str] | None] = ContextVar("locale", default=None)


class _Default:
    locale = SOURCE
    pseudo = False


def set_default(locale: str) -> None:
    """Speak this language wherever nobody chose one.

    :raises ValueError: if it is not offered
    """
    if locale not in LOCALES:
        raise ValueError(f"no such language: {locale}; there are {', '.join(LOCALES)}")
    _Default.locale = locale


def pretend(on: bool) -> None:
    """Stretch and accent all English from now on, so that people see what is cut or not translated."""
    if on != _Default.pseudo:
        _Default.pseudo = on
        catalogue.cache_clear()


def choose(locale: str | Callable[[], str] | None) -> None:
    """Speak this language in the current context; a function is asked when the first word is needed."""
    _chosen.set(locale)


def current_locale() -> str:
    """Give the language of the current context."""
    chosen = _chosen.get()
    if callable(chosen):
        _chosen.set(None)  # what goes wrong while asking is told in the default language
        chosen = chosen()
        _chosen.set(chosen)
    return chosen or _Default.locale


@contextmanager
def use_locale(locale: str | None) -> Iterator[None]:
    """Speak a language for a while; None or one that is not offered is the default."""
    token = _chosen.set(locale if locale in LOCALES else _Default.locale)
    try:
        yield
    finally:
        _chosen.reset(token)


def nearest(tags: Iterable[str]) -> str | None:
    """Give the language that suits the first possible of the wanted tags, such as `zh-TW` or `en-GB`."""
    for tag in tags:
        parts = tag.lower().replace("_", "-").split("-")
        if parts[0] == "zh":
            subtags = set(parts[1:])
            return "zh_Hant_HK" if _TRADITIONAL & subtags and "hans" not in subtags else "zh_Hans_CN"
        if parts[0] == "en":
            return "en"
    return None


def language_tag(locale: str | None = None) -> str:
    """Give the language as HTML writes it, `zh-Hans-CN`."""
    return (locale or current_locale()).replace("_", "-")


@lru_cache(maxsize=len(LOCALES))
def catalogue(locale: str) -> NullTranslations:
    """Read a language's translations; Traditional Chinese falls back on Simplified, all on the source."""
    path = TRANSLATIONS / locale / "LC_MESSAGES" / "messages.po"
    found: NullTranslations = _Pseudo() if locale == SOURCE and _Default.pseudo else NullTranslations()
    if path.exists():
        found = _compiled(path, locale)
    if locale == "zh_Hant_HK":
        found.add_fallback(catalogue("zh_Hans_CN"))
    return found


class _Pseudo(NullTranslations):
    """English that nobody speaks."""

    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:  # noqa: ARG002 - the context is for translators
        return pseudo(message)


def _compiled(path: Path, locale: str) -> GNUTranslations:
    from babel.messages.mofile import write_mo  # noqa: PLC0415 - English readers never need it
    from babel.messages.pofile import read_po  # noqa: PLC0415

    with path.open("rb") as source:
        parsed = read_po(source, locale=locale)
    binary = io.BytesIO()
    write_mo(binary, parsed)
    binary.seek(0)
    return GNUTranslations(binary)


def gettext(message: str, /, **params: Any) -> str:
    """Translate a sentence and fill in its `%(name)s` places."""
    translated = catalogue(current_locale()).gettext(message)
    return _filled(translated, message, params)


def ngettext(singular: str, plural: str, number: int, /, **params: Any) -> str:
    """Translate a sentence whose form depends on a number, which fills `%(num)d`."""
    translated = catalogue(current_locale()).ngettext(singular, plural, number)
    source = singular if number == 1 else plural
    return _filled(translated, source, {"num": number, **params} if params else {})


def pgettext(context: str, message: str, /, **params: Any) -> str:
    """Translate a word that has several senses; the context, which nobody reads, says which is meant."""
    translated = catalogue(current_locale()).pgettext(context, message)
    return _filled(translated, message, params)


def _filled(translated: str, source: str, params: dict[str, Any]) -> str:
    """Fill in the places of a sentence; one that its translator broke is said in the source's words."""
    if not params:
        return translated
    try:
        return translated % params
    except (KeyError, TypeError, ValueError) as error:
        if translated == source:
            raise
        _tell_translators(current_locale(), source, repr(error))
        return source % params


@cache
def _tell_translators(locale: str, source: str, why: str) -> None:
    """Log a broken translation, once in the life of a process."""
    _log.error(
        "a translation cannot be filled in",
        extra={"fields": {"locale": locale, "sentence": source, "why": why}},
    )


def mark(message: str) -> str:
    """Mark a sentence for translators where it is written but not yet said."""
    return message


def name_of(thing: Any) -> str:
    """Give the name of a thing in the reader's language, or in the other one if it lacks it."""
    if hasattr(thing, "name_zh"):
        return either(thing.name_zh, thing.name_en)
    return str(thing.name)


def either(chinese: object, english: object) -> str:
    """Give what is in the reader's language, or the other where that lacks; Hong Kong reads Traditional characters."""
    locale = current_locale()
    in_order = (chinese, english) if locale.startswith("zh") else (english, chinese)
    found = str(in_order[0] or in_order[1] or "")
    if locale == SOURCE and _Default.pseudo:
        return pseudo(found)
    return traditional(found) if locale == "zh_Hant_HK" else found


def format_datetime(at: datetime, zone: str = "UTC", pattern: str = "datetime") -> str:
    """Say a time on the clock of a zone; patterns are datetime, date, day (no year) and time."""
    locale = current_locale()
    tz = ZoneInfo(zone)
    return babel.dates.format_datetime(at, _PATTERNS[locale][pattern], tzinfo=tz, locale=locale)


def format_date(day: date | datetime, zone: str = "UTC", pattern: str = "date") -> str:
    """Say a day; an instant becomes the day that it is in the zone."""
    locale = current_locale()
    if isinstance(day, datetime):
        day = day.astimezone(ZoneInfo(zone)).date()
    return babel.dates.format_date(day, _PATTERNS[locale][pattern], locale=locale)


def format_time(at: datetime, zone: str = "UTC") -> str:
    """Say the time of day on the clock of a zone."""
    return format_datetime(at, zone, "time")


def format_deadline(at: datetime, zone: str = "UTC") -> str:
    """Say until when; midnight is 24:00 of the day that ends, so that nobody takes it for the next."""
    local = at.astimezone(ZoneInfo(zone))
    if (local.hour, local.minute) != (0, 0):
        return format_datetime(at, zone)
    return format_datetime(at - timedelta(minutes=1), zone).replace("23:59", "24:00")


def format_span(start: datetime, end: datetime, zone: str = "UTC") -> str:
    """Say from when to when on the clock of a zone, the day once if both are on the same."""
    tz = ZoneInfo(zone)
    first, last = start.astimezone(tz).date(), end.astimezone(tz).date()
    until = format_time(end, zone) if first == last else format_datetime(end, zone)
    return f"{format_datetime(start, zone)} – {until}"


def format_money(amount: Decimal | None) -> str:
    """Say an amount in yuan; None, which is no known amount, is a dash."""
    if amount is None:
        return "–"
    # Babel says CN¥ to English readers; every price here is in yuan.
    return babel.numbers.format_currency(amount, "CNY", _MONEY[current_locale()], locale=current_locale())


def format_large_money(amount: Decimal) -> str:
    """Say a large amount in yuan as each expects it: `123.5 万元`, `¥1,235,000`; one below 10,000 in full."""
    if abs(amount) < TEN_THOUSAND:
        return format_money(amount)
    if current_locale().startswith("zh"):
        return babel.numbers.format_decimal(
            amount / TEN_THOUSAND, _LARGE_MONEY[current_locale()], locale=current_locale()
        )
    return babel.numbers.format_currency(
        amount, "CNY", "¥#,##0", locale=current_locale(), currency_digits=False
    )


def format_number(number: float | Decimal) -> str:
    """Say a number with the language's separators."""
    return babel.numbers.format_decimal(number, locale=current_locale())


def format_duration(length: timedelta | int) -> str:
    """Say a length of time, given as such or in minutes, in days, hours and minutes."""
    minutes = length if isinstance(length, int) else int(length.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, rest = divmod(rest, 60)
    parts = []
    if days:
        parts.append(ngettext("%(num)d day", "%(num)d days", days, num=days))
    if hours:
        parts.append(gettext("%(hours)d h", hours=hours))
    if rest or not parts:
        parts.append(gettext("%(minutes)d min", minutes=rest))
    return " ".join(parts)


def utc_offset(zone: str, at: datetime) -> str:
    """Say how far a zone is from UTC at a time, `UTC+08:00`."""
    offset = at.astimezone(UTC).astimezone(ZoneInfo(zone)).strftime("%z")
    return f"UTC{offset[:3]}:{offset[3:]}"

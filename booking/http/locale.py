"""Which language a request is answered in."""

from flask import Flask, request

from booking import i18n
from booking.http.context import settings
from booking.http.identity import actor

COOKIE = "yiqi_locale"


def init(app: Flask, default: str, *, pseudo: bool = False) -> None:
    """Choose each request's language: the person's choice, the cookie, the browser's wish, the default."""
    i18n.set_default(default)
    i18n.pretend(pseudo)
    app.before_request(_begin)
    app.teardown_request(_end)


def _begin() -> None:
    # A function, since most answers of the API need no word, and a person's choice costs a statement.
    i18n.choose(_negotiate)


def _end(_error: BaseException | None) -> None:
    i18n.choose(None)


def _negotiate() -> str:
    for wish in (_of_person(), request.cookies.get(COOKIE)):
        if wish in i18n.LOCALES:
            return str(wish)
    return i18n.nearest(request.accept_languages.values()) or settings().default_locale


def speak_as_the_letter(locale: str | None) -> None:
    """Speak the language of the letter whose link a visitor followed, whatever their browser would like.

    Who is signed in reads their own, and so does who has chosen one in this browser.
    """
    if not actor().signed_in and request.cookies.get(COOKIE) not in i18n.LOCALES:
        i18n.choose(locale if locale in i18n.LOCALES else settings().default_locale)


def _of_person() -> str | None:
    try:
        return actor().locale
    except Exception:  # noqa: BLE001 - the error that is being told must not hide behind its language
        return None

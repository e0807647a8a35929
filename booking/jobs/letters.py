"""Letters: what a message says, in its receiver's language and on the facility's clock."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from booking import i18n
from booking.config import Settings
from booking.domain import one_time
from booking.gateways.mail import Letter
from booking.services.notifications import Notice

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"


class WrongKey(Exception):
    """The signing key of the web processes and of the jobs is not the same."""


def write(notice: Notice, settings: Settings) -> Letter:
    """Write the message in all its parts."""
    with i18n.use_locale(notice.person.locale or settings.default_locale):
        words = _words(notice, settings)
        subject, text, html = (
            _environment().get_template(f"mail/{notice.template}/{part}").render(words)
            for part in ("subject.txt", "body.txt", "body.html")
        )
        return Letter(
            id=str(notice.delivery_id),
            to_name=notice.person.name,
            to_address=notice.person.email,
            subject=subject.strip(),
            text=text.strip() + "\n",
            html=html.strip() + "\n",
            language=i18n.language_tag(),
        )


def _words(notice: Notice, settings: Settings) -> dict[str, Any]:
    public_url = settings.public_url.rstrip("/")
    booking, items = notice.booking, sorted(notice.items, key=lambda item: (item.starts_at, item.position))
    return {
        "person": notice.person,
        "booking": booking,
        "items": items,
        "what": _what(items),
        "when": i18n.format_datetime(items[0].starts_at, items[0].instrument.facility.zone) if items else "",
        "before": _before(notice),
        "data": notice.event.data,
        "actor_name": notice.actor_name,
        "by_self": notice.event.actor_id == notice.person.id,
        "public_url": public_url,
        "booking_url": f"{public_url}/bookings/{booking.id}" if booking else "",
        "approvals_url": f"{public_url}/approvals",
        "link": notice.link,
        "link_url": _link_url(notice, settings),
    }


def _what(items: Sequence[Any]) -> str:
    if not items:
        return ""
    first, more = i18n.name_of(items[0].instrument), len(items) - 1
    if not more:
        return first
    return i18n.ngettext(
        "%(instrument)s and %(num)d more", "%(instrument)s and %(num)d more", more, instrument=first
    )


def _before(notice: Notice) -> list[str]:
    """Give what a changed booking took before, each instrument by its code."""
    changes = notice.event.data.get("changes", {})
    zone = notice.items[0].instrument.facility.zone if notice.items else "UTC"
    return [
        f"{code}, {i18n.format_span(datetime.fromisoformat(start), datetime.fromisoformat(end), zone)}"
        for code, start, end, _ in changes.get("items", [[]])[0]
    ]


def _link_url(notice: Notice, settings: Settings) -> str:
    """Give the address of the one-time link, by the key that it was made with; empty if there is no link."""
    link = notice.link
    if link is None:
        return ""
    keys = [settings.key(), *filter(None, (key.strip() for key in settings.secret_key_fallbacks.split(",")))]
    for key in keys:
        if one_time.hashed(one_time.secret(key, link.id)) == link.secret_hash:
            return one_time.address(settings.public_url, link.purpose.value, key, link.id)
    raise WrongKey("the link was made with a key that this process does not have")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(
        name_of=i18n.name_of,
        language_tag=i18n.language_tag,
        span=i18n.format_span,
        utc_offset=i18n.utc_offset,
    )
    environment.filters.update(
        datetime=i18n.format_datetime,
        date=i18n.format_date,
        time=i18n.format_time,
        duration=i18n.format_duration,
    )
    return environment

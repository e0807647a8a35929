"""Letters: what a message says, in its receiver's language and on the facility's clock."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from booking import i18n
from booking.config import Settings
from booking.domain.one_time import secret_for
from booking.gateways.mail import Letter
from booking.services.notifications import Notice

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"


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
    booking, link = notice.booking, notice.link
    return {
        "person": notice.person,
        "booking": booking,
        "items": notice.items,
        "data": notice.event.data,
        "actor_name": notice.actor_name,
        "by_self": notice.event.actor_id == notice.person.id,
        "public_url": public_url,
        "booking_url": f"{public_url}/bookings/{booking.id}" if booking else "",
        "approvals_url": f"{public_url}/approvals",
        "link": link,
        "link_url": _link_url(public_url, notice, settings) if link else "",
    }

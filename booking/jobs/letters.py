"""Letters: messages as mail, in their receiver's language, with the link that only they may have."""

from collections.abc import Sequence

from booking import i18n, messages
from booking.config import Settings
from booking.domain import one_time
from booking.gateways.mail import Letter
from booking.services.notifications import Notice


class WrongKey(Exception):
    """The signing key of the web processes and of the jobs is not the same."""


def write(notice: Notice, settings: Settings) -> Letter:
    """Write the message in all its parts."""
    with i18n.use_locale(notice.person.locale or settings.default_locale):
        said = messages.whole(notice, public_url=settings.public_url, link_url=_link_url(notice, settings))
        return _letter(notice, said)


def digest(notices: Sequence[Notice], settings: Settings) -> Letter:
    """Write one letter of several messages to the same person; it has the id of the first of them."""
    first = notices[0]
    with i18n.use_locale(first.person.locale or settings.default_locale):
        said, _ = messages.digest(notices, public_url=settings.public_url)
        return _letter(first, said)


def _letter(notice: Notice, said: messages.Text) -> Letter:
    return Letter(
        id=str(notice.delivery_id),
        to_name=notice.person.name,
        to_address=notice.person.email,
        subject=said.subject,
        text=said.text,
        html=said.html,
        language=i18n.language_tag(),
    )


def _link_url(notice: Notice, settings: Settings) -> str:
    """Give the address of the one-time link, by the key that it was made with; empty if there is no link."""
    link = notice.link
    if link is None or link.purpose.value not in one_time.PATHS:
        return ""
    keys = [settings.key(), *filter(None, (key.strip() for key in settings.secret_key_fallbacks.split(",")))]
    for key in keys:
        if one_time.hashed(one_time.secret(key, link.id)) == link.secret_hash:
            return one_time.address(settings.public_url, link.purpose.value, key, link.id)
    raise WrongKey("the link was made with a key that this process does not have")

"""Messages: what a notice says, in the language of the moment and on the facility's clock.

One form of message has three templates; mail shows them whole, a chat or the web inbox the subject and the lead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from booking import i18n, plan_words, wording
from booking.services.notifications import DIGEST, Notice

HOME_ZONE = "Asia/Shanghai"
"""The clock of readers who chose none."""

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@dataclass(frozen=True, slots=True)
class Text:
    """A message in all its parts."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Brief:
    """A message in a few words: what happened, a sentence on it, and the page where one sees more."""

    subject: str
    lead: str
    path: str


def whole(notice: Notice, *, public_url: str, link_url: str = "") -> Text:
    """Write the whole message; `link_url` is the one-time link that goes with it, for its receiver alone."""
    words = _words(notice, public_url, link_url)
    return _text(notice.template, words)


def brief(notice: Notice, *, public_url: str = "") -> Brief:
    """Write the message in a few words. It never holds a one-time link, for others may read where it goes."""
    words = _words(notice, public_url, "")
    subject = _template(notice.template, "subject.txt").render(words)
    body = _template(notice.template, "body.txt")
    lead = "".join(body.blocks["lead"](body.new_context(words)))
    return Brief(" ".join(subject.split()), " ".join(lead.split()), path_of(notice))


def digest(notices: Sequence[Notice], *, public_url: str) -> tuple[Text, list[Brief]]:
    """Write one message of several, and each of them in a few words."""
    found = [brief(notice, public_url=public_url) for notice in notices]
    words = {
        "person": notices[0].person,
        "count": len(found),
        "entries": [
            {"at": notice.event.at, "zone": notice.person.zone or HOME_ZONE, "brief": said}
            for notice, said in zip(notices, found, strict=True)
        ],
        "public_url": public_url.rstrip("/"),
        "items": (),
        "booking": None,
        "data": {},
        "booking_url": "",
        "behalf": "",
    }
    return _text(DIGEST, words), found


def of_calendar(form: str, words: Mapping[str, Any]) -> Text:
    """Write the letter around a meeting that is mailed, or around the answer to one."""
    return _text(form, dict(words))


def path_of(notice: Notice) -> str:
    """Give the page on which one sees what the message tells of."""
    path = PATHS.get(notice.template)
    if path is None:
        return f"/bookings/{notice.booking.id}" if notice.booking else "/notices"
    about = notice.about
    return path.format(
        series=notice.event.data.get("series", ""),
        proposal=notice.event.data.get("proposal_id", ""),
        question=notice.event.data.get("question_id", ""),
        round=notice.event.subject,
        instrument=about["instrument"].code if "instrument" in about else "",
        facility=about["facility"].code if "facility" in about else "",
    )


_QUALIFICATIONS, _CREDIT = "/qualifications", "/credit"
_CALENDARS = "/calendar-sources?facility={facility}"
_PERMITS = "/instruments/{instrument}/service#permits"

PATHS: Mapping[str, str] = {
    "booking.waiting": "/approvals",
    "approval.reminded": "/approvals",
    "delegation.made": "/approvals",
    "delegation.ended": "/approvals",
    "approval.escalated": "/approvals",
    "series.placed": "/series/{series}",
    "series.changed": "/series/{series}",
    "series.cancelled": "/series/{series}",
    "series.decided": "/series/{series}",
    "series.expired": "/series/{series}",
    "proposal.made": "/proposals/{proposal}",
    "proposal.withdrawn": "/proposals/{proposal}",
    "invitation.declined": "/calendar-questions/{question}",
    "invitation.countered": "/calendar-questions/{question}",
    "booking.move_asked": "/calendar-questions/{question}",
    **{f"wish.{what}": "/rounds/{round}" for what in ("drafted", "served", "unserved", "round_cancelled")},
    "waitlist.offered": "/waitlist",
    "waitlist.silent": "/waitlist",
    "waitlist.lapsed": "/waitlist",
    "transfer.asked": "/transfers",
    "transfer.accepted": "/transfers",
    "transfer.declined": "/transfers",
    "transfer.withdrawn": "/transfers",
    "transfer.lapsed": "/transfers",
    "transfer.missed": "/transfers",
    "qualification.requested": "/facilities/{facility}/qualifications",
    "qualification.scheduled": _QUALIFICATIONS,
    "qualification.session_cancelled": _QUALIFICATIONS,
    "qualification.granted": _QUALIFICATIONS,
    "qualification.refused": _QUALIFICATIONS,
    "qualification.revoked": _QUALIFICATIONS,
    "qualification.expiring": _QUALIFICATIONS,
    "qualification.flagged": "/desk?facility={facility}",
    "fault.reported": "/faults?facility={facility}",
    "fault.confirmed": "/instruments/{instrument}",
    "fault.mended": "/instruments/{instrument}",
    "fault.dismissed": "/instruments/{instrument}",
    "bookings.taken_over": "/bookings",
    "calendar_source.clashes": _CALENDARS,
    "calendar_source.failing": _CALENDARS,
    "permit.expiring": _PERMITS,
    "permit.over": _PERMITS,
    "credit.changed": _CREDIT,
    "ban.made": _CREDIT,
    "ban.lifted": _CREDIT,
    "appeal.opened": "/credit/facility?facility={facility}",
    "appeal.decided": _CREDIT,
    "membership.requested": "/memberships",
    "network.asked": "/network-requests",
    "network.answered": "/network-requests",
    "membership.granted": "/account",
    "membership.refused": "/account",
    "webhook.switched_off": "/account/webhooks",
    "role.given": "/account",
    "role.taken": "/account",
    "badge.changed": "/account/badge",
    "person.password_changed": "/password-resets",
    "person.enabled": "/account",
    "person.signed_up": "/account",
    "person.invited": "/account",
    "person.password_reset_asked": "/account",
}
"""Where each form of message leads; one without a page of its own leads to its booking."""


def _text(form: str, words: dict[str, Any]) -> Text:
    subject, text, html = (
        _template(form, part).render(words).strip() for part in ("subject.txt", "body.txt", "body.html")
    )
    return Text(subject, text + "\n", html + "\n")


def _words(notice: Notice, public_url: str, link_url: str) -> dict[str, Any]:
    public_url = public_url.rstrip("/")
    booking, items = notice.booking, sorted(notice.items, key=lambda item: (item.starts_at, item.position))
    owned = booking is None or booking.person_id == notice.person.id
    return {
        "person": notice.person,
        "booking": booking,
        "items": items,
        "what": _what(items),
        "when": i18n.format_datetime(items[0].starts_at, items[0].instrument.facility.zone) if items else "",
        "before": _before(notice),
        "behalf": ""
        if owned or booking is None or booking.booked_by_id != notice.person.id
        else booking.person.name,
        "data": notice.event.data,
        "about": notice.about,
        "others": notice.others,
        "qualification": _named(notice.event.data),
        "place": _named(notice.event.data),
        "facility": i18n.either(notice.event.data.get("facility_zh"), notice.event.data.get("facility_en")),
        "zone": notice.person.zone or HOME_ZONE,
        "actor_name": notice.actor_name,
        "by_self": notice.event.actor_id == notice.person.id,
        "public_url": public_url,
        "booking_url": f"{public_url}/bookings/{booking.id}" if booking else "",
        "approvals_url": f"{public_url}/approvals",
        "url": public_url + path_of(notice),
        "link": notice.link,
        "link_url": link_url,
        "asked_since": wording.conditions_sentence(notice.about.get("conditions", ())),
    }


def _named(data: Mapping[str, Any]) -> str:
    """Give the name that the event's data carry in both languages."""
    return i18n.either(data.get("name_zh"), data.get("name_en"))


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
        i18n.gettext(
            "%(what)s, %(when)s",
            what=code,
            when=i18n.format_span(datetime.fromisoformat(start), datetime.fromisoformat(end), zone),
        )
        for code, start, end, _ in changes.get("items", [[]])[0]
    ]


def _template(form: str, part: str) -> Template:
    return _environment().get_template(f"mail/{form}/{part}")


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
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        i18n.gettext, i18n.ngettext, newstyle=True, pgettext=i18n.pgettext
    )
    environment.globals.update(
        name_of=i18n.name_of,
        language_tag=i18n.language_tag,
        span=i18n.format_span,
        utc_offset=i18n.utc_offset,
        instant=datetime.fromisoformat,
        day=date.fromisoformat,
        deed_name=wording.deed_name,
        role_name=wording.role_name,
        substance=wording.substance_sentence,
        channel_name=wording.channel_name,
        silence=plan_words.silence_sentence,
        giving_up=plan_words.giving_up,
        displaced_by=plan_words.displaced_by,
        why=plan_words.why,
        because=plan_words.because,
        source_failure=wording.source_failure,
    )
    environment.filters.update(
        datetime=i18n.format_datetime,
        deadline=i18n.format_deadline,
        date=i18n.format_date,
        time=i18n.format_time,
        duration=i18n.format_duration,
        money=i18n.format_money,
    )
    return environment

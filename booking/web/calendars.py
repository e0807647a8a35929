"""One's calendar feeds: made, shown once, renewed, revoked."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from booking import i18n
from booking.db import reading, transaction
from booking.domain.access import Forbidden, NotFound
from booking.domain.rules import Invalid
from booking.http.context import settings
from booking.http.feed_addresses import Address, address, forget
from booking.http.forms import fields, sentences
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import calendars
from booking.web import blueprint
from models import CalendarLink, CalendarScope, Privacy, Project

Answer = str | Response | tuple[str, int]

CLIENTS = (
    ("Google-Calendar", "Google Calendar"),
    ("Thunderbird", "Thunderbird"),
    ("dataaccessd", "Apple Calendar"),
    ("CalendarAgent", "Apple Calendar"),
    ("iCal/", "Apple Calendar"),
    ("Evolution", "GNOME Evolution"),
    ("ICSx5", "ICSx⁵"),
    ("Nextcloud", "Nextcloud"),
    ("HomeAssistant", "Home Assistant"),
    ("Microsoft", "Microsoft Outlook"),
    ("Outlook", "Microsoft Outlook"),
)
"""What stands in the names by which calendars call themselves, and how people know them."""


@blueprint.get("/calendars", endpoint="calendars")
@needs("calendar.make")
def show_calendars() -> str:
    """Show my calendar addresses and how to get another."""
    return _page({"what": _asked_for()}, {})


@blueprint.post("/calendars")
@needs("calendar.make")
def make_calendar() -> Answer:
    """Make an address and show it, this once."""
    form = fields("what", "privacy", "locale")
    who = actor()
    try:
        scope, subject = _read_what(form["what"])
        privacy, locale = _read_manner(form)
        with transaction() as session:
            link, secret = calendars.make(
                session,
                actor=who,
                scope=scope,
                subject=subject,
                privacy=privacy,
                locale=locale,
                now=utc_now(),
            )
    except Invalid as error:
        # Whatever is wrong with the scope or its subject is wrong with the one field for both.
        errors = {"what" if name in {"id", "scope"} else name: code for name, code in error.errors.items()}
        return _page(form, sentences(Invalid(errors))), 422
    security("calendar_made", person=str(who.person_id), calendar=str(link.id))
    # Shown in this answer and never again: a redirect would have to keep it somewhere.
    return _page({}, {}, made=link.id, where=address(secret)), 201


@blueprint.post("/calendars/<uuid:calendar_id>/renewal")
@needs("calendar.make")
def renew_calendar(calendar_id: UUID) -> Answer:
    """Give a feed a new address; the old one is revoked."""
    fields()
    who = actor()
    with transaction() as session:
        link, secret, old = calendars.rotate(session, actor=who, link_id=calendar_id, now=utc_now())
    forget(old)
    security("calendar_renewed", person=str(who.person_id), calendar=str(link.id))
    return _page({}, {}, made=link.id, where=address(secret)), 201


@blueprint.post("/calendars/<uuid:calendar_id>/revocation")
@needs("calendar.make")
def revoke_calendar(calendar_id: UUID) -> Response:
    """Make an address useless."""
    fields()
    who = actor()
    with transaction() as session:
        old = calendars.revoke(session, actor=who, link_id=calendar_id, now=utc_now())
    forget(old)
    security("calendar_revoked", person=str(who.person_id), calendar=str(calendar_id))
    flash(_("The address no longer works. Calendars that use it are told so."), "success")
    return redirect(url_for("web.calendars"), 303)


def _page(
    form: dict[str, str],
    errors: dict[str, str],
    *,
    made: UUID | None = None,
    where: Address | None = None,
) -> str:
    who = actor()
    what = form.get("what", "")
    with reading() as session:
        found = calendars.listing(session, actor=who)
        choice = calendars.subjects(session, actor=who, now=utc_now())
        extra = _named(session, what)
    fresh = next((listed for listed in found if listed.link.id == made), None)
    return render_template(
        "calendars/calendars.html",
        found=found,
        fresh=fresh,
        where=where,
        links=_links(where, title_of(fresh.link, fresh.subject)) if fresh and where else {},
        form={
            "what": what or CalendarScope.ME.value,
            "privacy": form.get("privacy", Privacy.SUMMARY.value),
            "locale": form.get("locale") or i18n.current_locale(),
        },
        errors=errors,
        choices=_choices(extra, choice.facilities, choice.projects),
        title_of=title_of,
        privacy_name=privacy_name,
        client_name=client_name,
        locale_name=i18n.LOCALES.get,
        zone=identity().zone or "Asia/Shanghai",
        rules=settings(),
    )


def _asked_for() -> str:
    """Give what the link to this page asks for, such as an instrument's `?scope=instrument&id=DG-SLAB-05`."""
    scope, subject = request.args.get("scope", ""), request.args.get("id", "")
    return f"{scope}:{subject}" if subject else scope


def _read_what(what: str) -> tuple[CalendarScope, str]:
    scope, _colon, subject = what.partition(":")
    if scope not in set(CalendarScope):
        raise Invalid({"what": "unknown" if what else "required"})
    return CalendarScope(scope), subject


def _read_manner(form: dict[str, str]) -> tuple[Privacy, str]:
    if form["privacy"] not in set(Privacy):
        raise Invalid({"privacy": "unknown"})
    if form["locale"] not in i18n.LOCALES:
        raise Invalid({"locale": "unknown"})
    return Privacy(form["privacy"]), form["locale"]


def _named(session: Any, what: str) -> Any:
    """Give the instrument of which a feed is wished, None if it is of something else."""
    try:
        scope, subject = _read_what(what)
        if scope not in {CalendarScope.INSTRUMENT, CalendarScope.FREE}:
            return None
        return next(iter(calendars.named(session, actor=actor(), codes=[subject])), None)
    except (Invalid, NotFound, Forbidden):
        return None  # the page opens all the same, with nothing chosen


def _choices(extra: Any, facilities: list[Any], projects: list[Any]) -> list[tuple[str, Any]]:
    """Give what a feed may show, as options of a select."""
    found: list[tuple[str, Any]] = [("me", _("My bookings"))]
    if extra is not None:
        name = name_of(extra)
        found += [
            (f"instrument:{extra.code}", _("%(instrument)s: when it is taken", instrument=name)),
            (f"free:{extra.code}", _("%(instrument)s: when it is free", instrument=name)),
        ]
    if facilities:
        found.append((_("Whole facilities"), [(f"facility:{row.code}", name_of(row)) for row in facilities]))
    if projects:
        found.append((_("Projects"), [(f"project:{row.id}", row.name) for row in projects]))
    return found


def title_of(link: CalendarLink, subject: Any) -> str:
    """Say what a feed shows."""
    if link.scope is CalendarScope.ME:
        return _("My bookings")
    if link.scope is CalendarScope.FREE:
        return _("%(instrument)s: free time", instrument=name_of(subject))
    if isinstance(subject, Project):
        return _("Project: %(name)s", name=subject.name)
    return name_of(subject)


def privacy_name(privacy: Privacy) -> str:
    """Say how much a feed tells."""
    return {
        Privacy.BUSY: _("Times only"),
        Privacy.SUMMARY: _("Instrument and place"),
        Privacy.FULL: _("Everything, with purpose and project"),
    }[privacy]


def client_name(agent: str) -> str:
    """Say which program reads a feed, by the name that it sends."""
    for part, known in CLIENTS:
        if part.lower() in agent.lower():
            return known
    return agent.split("/", 1)[0][:40] or _("A program without a name")


def _links(where: Address, name: str) -> dict[str, str]:
    """Give the addresses at which calendars on the web take a subscription."""
    url, title = quote(where.url, safe=""), quote(name, safe="")
    return {
        "google": f"https://calendar.google.com/calendar/r?cid={quote(where.webcal, safe='')}",
        "outlook": f"https://outlook.live.com/calendar/0/addfromweb?url={url}&name={title}",
        "office": f"https://outlook.office.com/calendar/0/addfromweb?url={url}&name={title}",
    }

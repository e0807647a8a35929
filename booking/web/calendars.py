"""One's calendar feeds: made, shown once, changed, given a new address, revoked."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from booking import i18n
from booking.db import reading, transaction
from booking.domain import access
from booking.domain.access import NotFound
from booking.domain.rules import Invalid
from booking.gateways import labels as drawing
from booking.gateways.labels import Label
from booking.http.context import settings
from booking.http.feed_addresses import Address, address, forget
from booking.http.forms import choices, fields, sentences
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import calendars, feeds
from booking.services.calendars import Choice, Listed
from booking.web import blueprint
from models import CalendarLink, CalendarScope, Instrument, Privacy, Project

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

CHOICES = (*("name", "privacy", "locale", "past_days", "future_days"), *("no_pending", "cancelled", "codes"))
_BLANK = dict.fromkeys(("what", *CHOICES), "")
TOLD = list(Privacy)
"""What tells more stands behind what tells less."""


@blueprint.get("/calendars", endpoint="calendars")
@needs("calendar.make")
def show_calendars() -> str:
    """Show my calendar addresses and how to get another."""
    what, codes = _asked_for()
    return _page({**_BLANK, "what": what}, codes, {})


@blueprint.post("/calendars")
@needs("calendar.make")
def make_calendar() -> Answer:
    """Make an address and show it, this once."""
    form, codes = fields("what", *CHOICES, many=("instrument",)), _codes()
    who = actor()
    try:
        scope, subject = _read_what(form["what"])
        alone = scope is CalendarScope.FREE and not subject
        with transaction() as session:
            link, secret = calendars.make(
                session,
                actor=who,
                scope=scope,
                subject=subject,
                several=codes if alone else (),
                now=utc_now(),
                **_read_choices(form),
            )
    except Invalid as error:
        return _page(form, codes, _said(error, form["what"])), 422
    except NotFound:
        if form["what"] != "free":
            raise
        return _page(form, codes, sentences(Invalid({"instrument": "unknown"}))), 422
    security("calendar_made", person=str(who.person_id), calendar=str(link.id))
    # Shown in this answer and never again: a redirect would have to keep it somewhere.
    return _page(_BLANK, [], {}, made=link.id, where=address(secret)), 201


def _said(error: Invalid, what: str) -> dict[str, str]:
    """Say what is wrong at the page's fields: of scope and subject at the one field for both."""
    fields_ = {"scope": "what", "ids": "instrument", "id": "instrument" if what == "free" else "what"}
    return sentences(Invalid({fields_.get(name, name): code for name, code in error.errors.items()}))


@blueprint.get("/calendars/<uuid:calendar_id>", endpoint="calendar")
@needs("calendar.make")
def show_calendar(calendar_id: UUID) -> str:
    """Show what one feed shows and how to change or end it."""
    return _one(calendar_id, None, {})


@blueprint.post("/calendars/<uuid:calendar_id>")
@needs("calendar.make")
def change_calendar(calendar_id: UUID) -> Answer:
    """Change what a feed shows; what tells its readers more is asked twice."""
    form, codes = fields(*CHOICES, "sure", many=("instrument",)), _codes()
    who = actor()
    try:
        choices_ = _read_choices(form)
        with reading() as session:
            link = calendars.living(session, actor=who, link_id=calendar_id)
        if _tells_more(link, choices_["privacy"]) and not form["sure"]:
            said = _("Whoever has the address will read more than now. Tick the box if you mean it.")
            return _one(calendar_id, form, {"sure": said}), 422
        several = codes if link.scope is CalendarScope.FREE else None
        with transaction() as session:
            calendars.change(
                session, actor=who, link_id=calendar_id, several=several, now=utc_now(), **choices_
            )
    except Invalid as error:
        return _one(calendar_id, form, _said(error, "free")), 422
    except NotFound as error:
        if error.noun != "instrument":
            raise
        return _one(calendar_id, form, sentences(Invalid({"instrument": "unknown"}))), 422
    flash(_("Saved. Calendars show it when they ask next."), "success")
    return redirect(url_for("web.calendars"), 303)


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
    return _page(_BLANK, [], {}, made=link.id, where=address(secret)), 201


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


# --- the pages --------------------------------------------------------------------------------------------


def _page(
    form: dict[str, str],
    codes: list[str],
    errors: dict[str, str],
    *,
    made: UUID | None = None,
    where: Address | None = None,
) -> str:
    who = actor()
    with reading() as session:
        found = calendars.listing(session, actor=who)
        choice = calendars.subjects(session, actor=who, now=utc_now())
        named = calendars.named(session, actor=who, codes=[*codes, _subject_of(form["what"])])
    fresh = next((listed for listed in found if listed.link.id == made), None)
    return render_template(
        "calendars/calendars.html",
        found=found,
        fresh=fresh,
        where=where,
        links=_links(where, title_of(fresh.link, fresh.subject)) if fresh and where else {},
        code=_drawn(where) if where else "",
        others=_other_forms(fresh.link, where) if fresh and where else [],
        form=form | {"what": form["what"] or CalendarScope.ME.value},
        privacy=form.get("privacy") or Privacy.SUMMARY.value,
        locale=form.get("locale") or i18n.current_locale(),
        errors=errors,
        options=_options(named, choice),
        instruments=_instruments(named, choice.lately),
        ticked=codes,
        title_of=title_of,
        privacy_name=privacy_name,
        client_name=client_name,
        locale_name=i18n.LOCALES.get,
        zone=identity().zone or "Asia/Shanghai",
        rules=settings(),
    )


def _one(calendar_id: UUID, form: dict[str, str] | None, errors: dict[str, str]) -> str:
    who = actor()
    with reading() as session:
        listed = calendars.one(session, actor=who, link_id=calendar_id)
        choice = calendars.subjects(session, actor=who, now=utc_now())
        shown = feeds.instruments_of(listed.subject) if listed.link.scope is CalendarScope.FREE else ()
        ticked = [row.code for row in shown] if form is None else _codes()
        named = calendars.named(session, actor=who, codes=ticked)
    return render_template(
        "calendars/calendar.html",
        link=listed.link,
        title=title_of(listed.link, listed.subject),
        what=what_of(listed),
        form=_as_form(listed.link) if form is None else form,
        sure="sure" in errors,
        errors=errors,
        instruments=_instruments(named, choice.lately) if listed.link.scope is CalendarScope.FREE else [],
        ticked=ticked,
        privacy_name=privacy_name,
        client_name=client_name,
        zone=identity().zone or "Asia/Shanghai",
        rules=settings(),
    )


def _as_form(link: CalendarLink) -> dict[str, str]:
    return {
        "name": link.name,
        "privacy": link.privacy.value,
        "locale": link.locale,
        "past_days": "" if link.past_days is None else str(link.past_days),
        "future_days": "" if link.future_days is None else str(link.future_days),
        "no_pending": "" if link.pending else "1",
        "cancelled": "1" if link.cancelled else "",
        "codes": "",
    }


def _tells_more(link: CalendarLink, privacy: Privacy) -> bool:
    return TOLD.index(privacy) > TOLD.index(link.privacy)


# --- what was typed ---------------------------------------------------------------------------------------


def _asked_for() -> tuple[str, list[str]]:
    """Give what the link to this page asks for, such as an instrument's `?scope=instrument&id=DG-SLAB-05`."""
    scope, named = request.args.get("scope", ""), request.args.getlist("id")
    if len(named) > 1:
        return scope, named
    return (f"{scope}:{named[0]}" if named else scope), []


def _read_what(what: str) -> tuple[CalendarScope, str]:
    scope, _colon, subject = what.partition(":")
    if scope not in set(CalendarScope):
        raise Invalid({"what": "unknown" if what else "required"})
    return CalendarScope(scope), subject


def _subject_of(what: str) -> str:
    scope, _colon, subject = what.partition(":")
    return subject if scope in {CalendarScope.INSTRUMENT, CalendarScope.FREE} else ""


def _codes() -> list[str]:
    """Give the codes of the instruments that were ticked or typed."""
    typed = request.form.get("codes", "").replace(",", " ").replace("，", " ").split()
    return list(dict.fromkeys([*choices("instrument"), *typed]))


def _read_choices(form: dict[str, str]) -> dict[str, Any]:
    if form["privacy"] not in set(Privacy):
        raise Invalid({"privacy": "unknown"})
    if form["locale"] not in i18n.LOCALES:
        raise Invalid({"locale": "unknown"})
    return {
        "name": form["name"].strip(),
        "privacy": Privacy(form["privacy"]),
        "locale": form["locale"],
        "past_days": _days(form, "past_days"),
        "future_days": _days(form, "future_days"),
        "pending": not form["no_pending"],
        "cancelled": bool(form["cancelled"]),
    }


def _days(form: dict[str, str], name: str) -> int | None:
    typed = form[name].strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdecimal() and len(typed) <= 5):
        raise Invalid({name: "malformed"})
    return int(typed)


# --- words ------------------------------------------------------------------------------------------------


def _options(named: list[Instrument], choice: Choice) -> list[tuple[str, Any]]:
    """Give what a feed may show, as options of a select."""
    found: list[tuple[str, Any]] = [("me", _("My bookings"))]
    if access.could(actor(), "approval.decide"):
        found.append(("approvals", _("What waits for my decision")))
    for row in named:
        name = name_of(row)
        found += [
            (f"instrument:{row.code}", _("%(instrument)s: when it is taken", instrument=name)),
            (f"free:{row.code}", _("%(instrument)s: when it is free", instrument=name)),
        ]
    found.append(("free", _("Free time of several instruments")))
    for words, scope, rows in (
        (_("Whole facilities"), "facility", choice.facilities),
        (_("Networks: what is taken"), "network", choice.networks),
    ):
        if rows:
            found.append((words, [(f"{scope}:{row.code}", name_of(row)) for row in rows]))
    if choice.projects:
        found.append((_("Projects"), [(f"project:{row.id}", row.name) for row in choice.projects]))
    return found


def _instruments(named: list[Instrument], lately: list[Instrument]) -> list[tuple[str, str]]:
    """Give the instruments to tick: those that were named, then those that one booked lately."""
    return list({row.code: f"{name_of(row)} · {row.code}" for row in [*named, *lately]}.items())


def title_of(link: CalendarLink, subject: Any) -> str:
    """Give what a feed is called: by its owner, or by what it shows."""
    return link.name or what_of(Listed(link, subject))


def what_of(listed: Listed) -> str:
    """Say what a feed shows."""
    scope, subject = listed.link.scope, listed.subject
    if scope is CalendarScope.ME:
        return _("My bookings")
    if scope is CalendarScope.APPROVALS:
        return _("What waits for my decision")
    if isinstance(subject, tuple):
        return _("Free time of %(names)s", names=", ".join(map(name_of, subject)))
    if scope is CalendarScope.FREE:
        # Of several instruments none may be left.
        return _("%(instrument)s: free time", instrument=name_of(subject)) if subject else _("Free time")
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


# --- addresses elsewhere ----------------------------------------------------------------------------------


def _links(where: Address, name: str) -> dict[str, str]:
    """Give the addresses at which calendars on the web take a subscription."""
    url, title = quote(where.url, safe=""), quote(name, safe="")
    return {
        "google": f"https://calendar.google.com/calendar/r?cid={quote(where.webcal, safe='')}",
        "outlook": f"https://outlook.live.com/calendar/0/addfromweb?url={url}&name={title}",
        "office": f"https://outlook.office.com/calendar/0/addfromweb?url={url}&name={title}",
    }


def _drawn(where: Address) -> Markup:
    """Draw the address for the camera of a telephone."""
    return Markup(drawing.svg(Label(where.webcal, _("The address, for a camera"))).decode())  # noqa: S704 - all escaped


def _other_forms(link: CalendarLink, where: Address) -> list[tuple[str, str]]:
    """Give the other forms in which a feed comes, each with its address."""
    found = []
    if link.scope in feeds.WITH_NEWS:
        found += [
            (_("News of freed time, Atom"), where.ending("atom")),
            (_("News of freed time, RSS"), where.ending("rss")),
            (_("News of freed time, JSON Feed"), where.ending("json")),
        ]
    if link.scope in feeds.WITH_BUSY:
        found.append((_("Busy time alone, without any words"), where.ending("ifb")))
    return found

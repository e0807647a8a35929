"""Announcements: kept by who runs a facility, a network or all of it, and put away by who has read them."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking.db import reading, transaction
from booking.domain.announcements import LONGEST, Audience, Level, Shown
from booking.domain.rules import Invalid
from booking.http import site
from booking.http.context import local_path
from booking.http.forms import fields, sentences
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import announcements
from booking.services.announcements import Draft, Kept
from booking.web import blueprint
from booking.web.forms import Intake, said

Answer = str | Redirect | tuple[str, int]

ZONE = "Asia/Shanghai"
TIMES = ("begins_date", "begins_time", "ends_date", "ends_time")
FIELDS = ("place", "text_zh", "text_en", "level", "shown", "audience", *TIMES)


@blueprint.get("/announcements", endpoint="announcements")
@needs("announcement.keep")
def show_announcements() -> str:
    """Show what I may keep, what is over too."""
    now = utc_now()
    with reading() as session:
        rows = announcements.listing(session, actor=actor())
    return render_template(
        "announcements/listing.html",
        rows=[(one, _state(one, now), _place_name(one)) for one in rows],
        zone=_zone(),
        shown=_shown_words(),
        audiences=_audience_words(),
    )


@blueprint.get("/announcements/new", endpoint="new_announcement")
@needs("announcement.keep")
def show_new() -> Answer:
    """Ask what is to be announced."""
    begins = utc_now().astimezone(ZoneInfo(_zone()))
    ends = begins + timedelta(days=7)
    typed = {
        "place": _wanted_place(),
        "level": Level.INFO.value,
        "shown": Shown.EVERYWHERE.value if not _wanted_place() else Shown.PLACE.value,
        "audience": Audience.EVERYONE.value,
        **_typed_time("begins", begins),
        **_typed_time("ends", ends),
    }
    return _form(typed)


def _wanted_place() -> str:
    for noun in ("facility", "network"):
        if code := request.args.get(noun, "")[:40]:
            return f"{noun}:{code}"
    return ""


@blueprint.post("/announcements/new", endpoint="make_announcement")
@needs("announcement.keep")
def make() -> Answer:
    """Announce it."""
    typed = fields(*FIELDS)
    try:
        draft = _draft(typed)
        place = _place(typed["place"])
        with transaction() as session:
            announcements.make(session, actor=actor(), **place, draft=draft, now=utc_now())
    except Invalid as error:
        return _form(typed, error=error), 422
    return _done(_("Announced."))


@blueprint.get("/announcements/<uuid:announcement_id>", endpoint="change_announcement")
@needs("announcement.keep")
def show_one(announcement_id: UUID) -> Answer:
    """Show an announcement as it may be changed."""
    with reading() as session:
        one = announcements.get(session, actor=actor(), announcement_id=announcement_id)
    row, zone = one.row, ZoneInfo(_zone())
    typed = {
        "text_zh": row.text_zh,
        "text_en": row.text_en,
        "level": row.level.value,
        "shown": row.shown.value,
        "audience": row.audience.value,
        **_typed_time("begins", row.begins_at.astimezone(zone)),
        **(_typed_time("ends", row.ends_at.astimezone(zone)) if row.ends_at else {}),
    }
    return _form(typed, one)


@blueprint.post("/announcements/<uuid:announcement_id>", endpoint="submit_announcement")
@needs("announcement.keep")
def change(announcement_id: UUID) -> Answer:
    """Change an announcement."""
    typed = fields(*FIELDS[1:])
    with reading() as session:
        one = announcements.get(session, actor=actor(), announcement_id=announcement_id)
    try:
        draft = _draft(typed)
        with transaction() as session:
            announcements.change(
                session, actor=actor(), announcement_id=announcement_id, draft=draft, now=utc_now()
            )
    except Invalid as error:
        return _form(typed, one, error), 422
    return _done(_("Changed."))


@blueprint.post("/announcements/<uuid:announcement_id>/end", endpoint="end_announcement")
@needs("announcement.keep")
def end(announcement_id: UUID) -> Redirect:
    """Take an announcement down."""
    fields()
    with transaction() as session:
        announcements.end(session, actor=actor(), announcement_id=announcement_id, now=utc_now())
    return _done(_("Taken down."))


@blueprint.post("/announcements/<uuid:announcement_id>/dismissal", endpoint="put_away")
@needs("notice.keep")
def put_away(announcement_id: UUID) -> Redirect:
    """Show me an announcement no more, until it changes."""
    typed = fields("version", "next")
    intake = Intake(typed)
    version = intake.whole("version", least=1, most=10**9)
    intake.demand()
    with transaction() as session:
        announcements.put_away(session, actor=actor(), announcement_id=announcement_id, version=version or 1)
    return redirect(local_path(typed["next"]), 303)


def _place(typed: str) -> dict[str, str]:
    """Read which place was chosen.

    :raises Invalid: if it is of no sort that there is
    """
    noun, _colon, code = typed.partition(":")
    if noun not in {"", "facility", "network"}:
        raise Invalid({"place": "unknown"})
    return {noun: code} if noun else {}


def _done(words: str) -> Redirect:
    site.forget()
    flash(words, "success")
    return redirect(url_for("web.announcements"), 303)


def _draft(typed: dict[str, str]) -> Draft:
    """Read what was typed; without an end it stands until it is taken down.

    :raises Invalid: for the fields that make no sense
    """
    intake, zone = Intake(typed), ZoneInfo(_zone())
    texts = {name: intake.text(name, longest=LONGEST) for name in ("text_zh", "text_en")}
    level = intake.choice("level", Level)
    shown = intake.choice("shown", Shown)
    audience = intake.choice("audience", Audience)
    begins = intake.instant("begins", zone)
    ends = None
    if typed["ends_date"] or typed["ends_time"]:
        ends = intake.instant("ends", zone)
    intake.demand()
    assert level and shown and audience and begins  # noqa: S101, PT018 - as no field was wrong
    return Draft(**texts, level=level, shown=shown, audience=audience, begins_at=begins, ends_at=ends)


def _form(typed: dict[str, str], one: Kept | None = None, error: Invalid | None = None) -> str:
    with reading() as session:
        facilities, networks = announcements.places(session, actor=actor())
    offered: list[tuple[str, object]] = [("", _("All of Yiqi"))] if actor().administrator else []
    for title, noun, rows in (
        (_("Networks"), "network", networks),
        (_("Facilities"), "facility", facilities),
    ):
        if rows:
            offered.append((title, [(f"{noun}:{row.code}", name_of(row)) for row in rows]))
    everywhere = one is not None and one.facility is None and one.network is None
    return render_template(
        "announcements/form.html",
        one=one,
        place=_place_name(one) if one else "",
        typed={name: typed.get(name, "") for name in FIELDS},
        places=offered,
        levels=[(Level.INFO.value, _("Information")), (Level.WARNING.value, _("Warning"))],
        shown=[
            (key, words) for key, words in _shown_words().items() if not (everywhere and key == Shown.PLACE)
        ],
        audiences=list(_audience_words().items()),
        errors=said(error.errors if error else {}, _labels()),
        problems=sentences(error) if error else {},
        zone=_zone(),
        now=utc_now(),
        longest=LONGEST,
    )


def _zone() -> str:
    return identity().zone or ZONE


def _typed_time(name: str, at: datetime) -> dict[str, str]:
    return {f"{name}_date": at.date().isoformat(), f"{name}_time": at.strftime("%H:%M")}


def _state(one: Kept, now: datetime) -> str:
    if one.row.ends_at is not None and one.row.ends_at <= now:
        return "over"
    return "coming" if one.row.begins_at > now else "live"


def _place_name(one: Kept) -> str:
    place = one.facility or one.network
    return _("All of Yiqi") if place is None else name_of(place)


def _shown_words() -> dict[str, str]:
    return {
        Shown.EVERYWHERE.value: _("Every page"),
        Shown.PLACE.value: _("Pages of the place and of its instruments"),
        Shown.DESK.value: _("The desk"),
    }


def _audience_words() -> dict[str, str]:
    return {
        Audience.EVERYONE.value: _("Everybody, visitors too"),
        Audience.SIGNED_IN.value: _("Who is signed in"),
        Audience.STAFF.value: _("Who works there"),
    }


def _labels() -> dict[str, str]:
    return {
        "place": _("Of which place"),
        "text_zh": _("Text in Chinese"),
        "text_en": _("Text in English"),
        "level": _("Level"),
        "shown": _("Where it stands"),
        "audience": _("Who reads it"),
        "begins_date": _("First day"),
        "begins_time": _("From"),
        "ends_date": _("Last day"),
        "ends_time": _("Until"),
        "ends_at": _("Until"),
    }

"""The resource timeline: instruments by facility and line, what takes their time, and the same as an agenda.

The page carries the index of its rows and the time of the first of them; `static/js/resources.js` draws what is in
sight and asks for the rest. Times go to it as minutes since 1970, places on the paper are its own affair.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Any
from uuid import UUID

from flask import Response, abort, render_template, request, url_for
from markupsafe import Markup

from booking import i18n, wording
from booking.db import Session, reading
from booking.domain import hours
from booking.domain.access import NotFound, Subject, may
from booking.domain.lifecycle import State
from booking.domain.moments import moment
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of, pgettext
from booking.services import bookings, facilities, timeline
from booking.services.timeline import Bar, Drawn, Index, Look, Only, Row
from booking.web import blueprint
from booking.web.bookings import deeds
from booking.web.forms import as_code, as_date, days_from, fit, today_in
from models import Facility

FIRST_ROWS = 30
"""Rows whose time comes with the page: a screenful."""

ENTRIES = 100
"""Entries on a page of the agenda."""

DAYTIME = (8, 18)
"""The hours shown where nothing is ever open."""

MINUTE = 60
DAY = timedelta(days=1)


class View(StrEnum):
    """How much is shown."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Form(StrEnum):
    """How it is shown."""

    TIMELINE = "timeline"
    LIST = "list"


@dataclass(frozen=True)
class Window:
    """What the address asks for."""

    facility: str
    view: View
    form: Form
    first: date
    days: int
    today: date
    words: str
    only: Only | None
    looks: frozenset[Look]
    whole_day: bool

    def url(self, **changed: Any) -> str:
        """Give the address of this page with something changed."""
        values: dict[str, Any] = {
            "facility": self.facility or None,
            "day": self.first.isoformat(),
            "view": self.view.value,
            "form": self.form.value,
            "q": self.words or None,
            "only": self.only.value if self.only else None,
            "look": None if len(self.looks) == len(Look) else sorted(self.looks) or ["none"],
            "hours": "all" if self.whole_day else None,
        }
        return url_for("web.resource_timeline", **(values | changed))

    @property
    def before(self) -> str:
        """Give the address of the time before."""
        return self.url(day=(self.first - DAY if self.view is View.MONTH else self._by(-1)).isoformat())

    @property
    def after(self) -> str:
        """Give the address of the time after."""
        return self.url(day=self._by(1).isoformat())

    @property
    def last(self) -> date:
        """Give the last day."""
        return self.first + timedelta(days=self.days - 1)

    def span(self, zone: str) -> Span:
        """Give the time shown on the clock of a zone."""
        return days_from(self.first, self.days, hours.zone(zone))

    def _by(self, times: int) -> date:
        return self.first + timedelta(days=times * self.days)


# --- the page -------------------------------------------------------------------------------------


@blueprint.get("/timeline", endpoint="resource_timeline")
@needs("facility.desk")
def show_timeline() -> str:
    """Show the instruments of the facilities where I work, and what takes their time."""
    now = utc_now()
    page, _size = page_wanted()
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        window = _window(staffed, now)
        chosen = [one for one in staffed if window.facility in {"", one.code}]
        if not chosen:
            raise NotFound("facility", window.facility)
        if window.form is Form.LIST:
            return _agenda(session, window, staffed, chosen, page, now)
        return _sheet(session, window, staffed, chosen, now)


def _window(staffed: Sequence[Facility], now: datetime) -> Window:
    given = request.args
    facility = as_code(given.get("facility"))
    if given.get("facility") and not facility:
        raise NotFound("facility")
    zone = next((one.zone for one in staffed if facility in {"", one.code}), "UTC")
    today = today_in(hours.zone(zone), now)
    view = View(given["view"]) if given.get("view") in set(View) else View.WEEK
    words = given.get("q", "").strip()[:100]
    first, days = _days(as_date(given.get("day")) or today, view)
    return Window(
        facility=facility,
        view=view,
        form=Form.LIST if given.get("form") == Form.LIST.value else Form.TIMELINE,
        first=first,
        days=days,
        today=today,
        words=words if fit(words) else "",
        only=Only(given["only"]) if given.get("only") in set(Only) else None,
        looks=_looks(given.getlist("look")),
        whole_day=given.get("hours") == "all",
    )


def _days(day: date, view: View) -> tuple[date, int]:
    """Give the first day and how many, of the day, its week from Monday, or its month."""
    if view is View.DAY:
        return day, 1
    if view is View.WEEK:
        return day - timedelta(days=day.weekday()), 7
    first = day.replace(day=1)
    return first, ((first + timedelta(days=31)).replace(day=1) - first).days


def _looks(given: Sequence[str]) -> frozenset[Look]:
    found = frozenset(Look(name) for name in given if name in set(Look))
    return found if found or "none" in given else frozenset(Look)


def _sheet(
    session: Session, window: Window, staffed: Sequence[Facility], chosen: Sequence[Facility], now: datetime
) -> str:
    known = timeline.mark(session, actor=actor(), facility=window.facility)
    found = _index(session, window, chosen, now)
    if found.total > timeline.MOST_ROWS and len(chosen) > 1:
        chosen = chosen[:1]
        found = _index(session, window, chosen, now)
    drawn = timeline.drawn(
        session,
        actor=actor(),
        instrument_ids=[row.id for row in found.rows[:FIRST_ROWS]],
        within=_whole(window, chosen),
        now=now,
    )
    return render_template(
        "timeline/timeline.html",
        data=_embedded(_data(window, chosen, found, known), _times(drawn)),
        rows=found.rows,
        left_out=found.total - len(found.rows),
        **_frame(window, staffed, chosen),
    )


def _index(session: Session, window: Window, chosen: Sequence[Facility], now: datetime) -> Index:
    return timeline.index(
        session,
        facility_ids=[one.id for one in chosen],
        within=_whole(window, chosen),
        words=window.words,
        only=window.only,
        now=now,
    )


def _agenda(
    session: Session,
    window: Window,
    staffed: Sequence[Facility],
    chosen: Sequence[Facility],
    page: int,
    now: datetime,
) -> str:
    entries, total = timeline.agenda(
        session,
        actor=actor(),
        facility_ids=[one.id for one in chosen],
        within=_whole(window, chosen),
        words=window.words,
        looks=window.looks,
        page=page,
        page_size=ENTRIES,
        now=now,
    )
    zones = {one.id: one.zone for one in chosen}
    return render_template(
        "timeline/agenda.html",
        entries=[(place, bar, _deeds(bar, now)) for place, bar in entries],
        total=total,
        page=page,
        page_size=ENTRIES,
        page_url=page_url,
        zones=zones,
        word_of=_word_of,
        here=request.full_path.rstrip("?"),
        **_frame(window, staffed, chosen),
    )


def _deeds(bar: Bar, now: datetime) -> set[str]:
    """Give what staff may do with an entry of the agenda now."""
    if bar.booking_id is None:
        return set()
    wanted = {
        "change": bar.movable,
        "check_in": bar.look is Look.BOOKED and bar.start <= now < bar.use_end,
        "check_out": bar.look is Look.RUNNING,
    }
    return {name for name, possible in wanted.items() if possible}


def _frame(window: Window, staffed: Sequence[Facility], chosen: Sequence[Facility]) -> dict[str, Any]:
    return {
        "window": window,
        "staffed": staffed,
        "chosen": chosen,
        "legend": _legend(),
        "desk": chosen[0],
    }


def _whole(window: Window, chosen: Sequence[Facility]) -> Span:
    """Give the time shown, from the first midnight of any of the facilities to the last."""
    spans = [window.span(zone) for zone in {one.zone for one in chosen}]
    return Span(min(span.start for span in spans), max(span.end for span in spans))


def _legend() -> list[tuple[Look, str]]:
    return [
        (Look.BOOKED, _("Booked")),
        (Look.PENDING, _("Awaiting approval")),
        (Look.RUNNING, _("In use")),
        (Look.ENDED, _("Ended")),
        (Look.CLOSED, _("Closed or under maintenance")),
        (Look.HELD, _("Held for somebody who is booking")),
        (Look.IMPORTED, _("Busy by another calendar")),
    ]


def _word_of(bar: Bar) -> str:
    """Name what a bar is."""
    return _state_words()[bar.look] if bar.kind is Kind.BOOKING else wording.kind_name(bar.kind)


def _state_words() -> dict[Look, str]:
    states = {
        Look.BOOKED: State.CONFIRMED,
        Look.PENDING: State.REQUESTED,
        Look.RUNNING: State.CHECKED_IN,
        Look.ENDED: State.ENDED,
    }
    return {look: wording.state_name(state) for look, state in states.items()}


# --- what the script reads ------------------------------------------------------------------------


def _data(
    window: Window,
    chosen: Sequence[Facility],
    found: Index,
    known: tuple[int, int],
) -> dict[str, Any]:
    opens, closes = (0, 24) if window.whole_day else found.hours or DAYTIME
    places = {one.id: number for number, one in enumerate(chosen)}
    kinds: dict[tuple[str, str], int] = {}
    return {
        "first": window.first.isoformat(),
        "days": window.days,
        "view": window.view.value,
        "hours": [opens, closes],
        "language": i18n.language_tag(),
        "zones": {zone: _clock(window, zone, opens, closes) for zone in {one.zone for one in chosen}},
        "facilities": [
            {
                "code": one.code,
                "name": name_of(one),
                "zone": one.zone,
                "closes": may(actor(), "closure.make", Subject(facility_id=one.id)),
            }
            for one in chosen
        ],
        "rows": [_row(row, places, kinds) for row in found.rows],
        "looks": sorted(window.looks),
        "mark": _tag(known),
        "urls": _urls(window),
        "words": _words(),
    }


def _row(row: Row, places: Mapping[int, int], kinds: dict[tuple[str, str], int]) -> list[Any]:
    """Give a row in short: what may stand for another has the same number, which is 0 where nothing may."""
    same = kinds.setdefault((row.kind, row.category), len(kinds) + 1) if row.category else 0
    small = "" if row.units == 1 else f"{row.units} {row.unit_name or _('units')}"
    if not row.published:
        small = f"{small} · {_('not published')}" if small else _("not published")
    return [row.id, row.code, name_of(row), places[row.facility_id], same, row.line or 0, row.units, small]


def _clock(window: Window, zone: str, opens: int, closes: int) -> list[list[int]]:
    """Give of each day its midnight and the first and last minute shown, and the midnight after the last."""
    tz = hours.zone(zone)
    found = []
    for number in range(window.days + 1):
        day = window.first + timedelta(days=number)
        after = day + DAY
        ends = _minute(datetime.combine(after if closes == 24 else day, time(closes % 24), tzinfo=tz))
        begins = _minute(datetime.combine(day, time(opens), tzinfo=tz))
        found.append([_minute(datetime.combine(day, time(), tzinfo=tz)), begins, ends])
    return found


def _times(drawn: Mapping[int, Drawn]) -> str:
    """Write rows' time as members of a JSON object; where they are open is the same for most, and told once."""
    opened: dict[tuple[Span, ...], int] = {}
    times = ",".join(
        f'"{key}":[{row.revision},{row.step},{opened.setdefault(row.opened, len(opened))},'
        f"[{','.join(map(_bar, row.bars))}]]"
        for key, row in drawn.items()
    )
    spans = [[[_minute(span.start), _minute(span.end)] for span in spans] for spans in opened]
    return f'"times":{{{times}}},"opened":{json.dumps(spans, separators=(",", ":"))}'


def _bar(bar: Bar) -> str:
    """Write a bar in short: there are thousands in an answer."""
    (
        _place, starts, ends, use_starts, use_ends, expires, quantity, kind, look,
        booking_id, version, title, person, movable, own, asks, confidential,
    ) = bar  # fmt: skip
    told = (
        f'{{"s":{_minute_of(starts)},"e":{_minute_of(ends)},'
        f'"us":{_minute_of(use_starts)},"ue":{_minute_of(use_ends)},"l":"{look}"'
    )
    if quantity > 1:
        told += f',"q":{quantity}'
    if booking_id:
        told += f',"b":"{booking_id}","v":{version}'
    if title:
        told += f',"t":{quoted(title[:120])}'
    if person:
        told += f',"p":{quoted(person)}'
    if kind is not Kind.BOOKING:
        told += f',"k":"{kind}"'
    if expires:
        told += f',"x":{_minute_of(expires)}'
    marks = ("m" * movable) + ("a" * asks) + ("o" * own) + ("c" * confidential)
    return f"{told}{''.join(_MARKS[mark] for mark in marks)}}}"


_MARKS = {mark: f',"{mark}":1' for mark in "maoc"}


@lru_cache(maxsize=4096)
def _minute_of(text: str) -> int:
    return _minute(moment(text))


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // MINUTE


def _tag(known: tuple[int, int]) -> str:
    return f"{known[0]}-{known[1]}"


def _urls(window: Window) -> dict[str, str]:
    base = {"day": window.first.isoformat(), "view": window.view.value}
    return {
        "rows": url_for("web.timeline_rows", **base),
        "news": url_for("web.timeline_news", facility=window.facility or None),
        "card": url_for("web.timeline_card", booking_id=UUID(int=0)),
        "booking": url_for("web.booking", booking_id=UUID(int=0)),
        "change": url_for("web.change_booking", booking_id=UUID(int=0)),
        "patch": url_for("api-bookings.change", booking_id=UUID(int=0)),
        "undo": url_for("api-bookings.undo", booking_id=UUID(int=0)),
        "ask": url_for("api-move-questions.ask", booking_id=UUID(int=0)),
        "new": url_for("web.new_booking"),
        "close": url_for("web.new_closure"),
        "closures": url_for("web.closures"),
        "instrument": url_for("web.instrument", code="CODE"),
        "list": window.url(form=Form.LIST.value),
    }


def _words() -> dict[str, Any]:
    """Give all that the script says, in the reader's language."""
    kinds = {kind.value: wording.kind_name(kind) for kind in Kind if kind is not Kind.BOOKING}
    return {
        "looks": {look.value: word for look, word in _state_words().items()},
        "kinds": kinds,
        "fold": _("Fold or unfold %(name)s"),
        "stations": pgettext("a line", "Stations"),
        "more": _("%(num)s more: see the list"),
        "empty": _("No instrument has these words"),
        "row": _("Time of %(name)s. Enter books it."),
        "confidential": _("Confidential"),
        "book": _("Book"),
        "close": _("Close for a while"),
        "details": _("Details"),
        "all_closures": _("All closures"),
        "dismiss": pgettext("a message", "Close"),
        "cancel": pgettext("a drag", "Cancel"),
        "undo": _("Undo"),
        "undone": _("Moved back: %(when)s, %(place)s."),
        "moved": _("Moved: %(when)s, %(place)s. %(person)s is told."),
        "moved_own": _("Moved: %(when)s, %(place)s."),
        "requested": _("Moved: %(when)s, %(place)s. It waits for approval again."),
        "refused": _("It stays where it was: this is not possible"),
        "stale": _("It has changed meanwhile and is drawn anew. Try again."),
        "away": _("The server did not answer. Nothing was changed."),
        "instead": _("Possible instead"),
        "by_form": _("Change it by the form"),
        "not_yours": _("Only the facility's managers and its own people move this booking."),
        "not_the_same": _("A booking moves only to an instrument of the same kind."),
        "ask": _("%(person)s has not agreed beforehand that this booking may be moved."),
        "ask_more": _(
            "Move it at once only if you have agreed on it; %(person)s is told. Or ask first. %(when)s, %(place)s"
        ),
        "agreed": _("We agreed: move it"),
        "ask_first": _("Ask first"),
        "asked": _("Asked: it stays until %(person)s says yes. %(when)s is held until %(deadline)s."),
        "leave": _("Leave it"),
        "moving": _(
            "Moving: arrow keys for time and instrument, plus and minus for the length, Enter to drop, Escape to stop."
        ),
        "news_off": _("No connection; what you see is of %(time)s."),
        "loading": _("Loading"),
    }


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _embedded(data: Mapping[str, Any], times: str) -> Markup:
    """Put both into one object such that it can stand in a page, as the filter `tojson` does."""
    text = f"{_json(data)[:-1]},{times}}}"
    for sign in "<>&'":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - nothing is left in it that a page would read


@blueprint.get("/timeline/rows", endpoint="timeline_rows")
@needs("facility.desk")
def rows() -> Response:
    """Give the time of some rows."""
    ids = _ids(request.args.get("ids", ""))
    view = View(request.args["view"]) if request.args.get("view") in set(View) else View.WEEK
    now = utc_now()
    first, days = _days(as_date(request.args.get("day")) or now.date(), view)
    # A day wider than the window on both sides, whatever the zones of the rows are.
    within = Span(
        datetime.combine(first, time(), tzinfo=UTC) - DAY,
        datetime.combine(first, time(), tzinfo=UTC) + timedelta(days=days + 1),
    )
    with reading() as session:
        drawn = timeline.drawn(session, actor=actor(), instrument_ids=ids, within=within, now=now)
    if ids and not drawn:
        raise NotFound("instrument")
    return Response(f"{{{_times(drawn)}}}", mimetype="application/json")


def _ids(raw: str) -> list[int]:
    found = [int(part) for part in raw.split(",") if part.isascii() and part.isdigit() and len(part) < 10]
    if len(found) > timeline.MOST_AT_ONCE:
        abort(413)
    return found


@blueprint.get("/timeline/news", endpoint="timeline_news")
@needs("facility.desk")
def news() -> Response:
    """Tell whether any calendar changed since, and if so the revisions of all."""
    facility = as_code(request.args.get("facility"))
    with reading() as session:
        known = timeline.mark(session, actor=actor(), facility=facility)
        if not known[0]:
            raise NotFound("facility", facility)
        tag = _tag(known)
        if request.if_none_match.contains_weak(tag):
            answer = Response(status=304)
        else:
            told = {"revisions": timeline.revisions(session, actor=actor(), facility=facility)}
            answer = Response(_json(told), mimetype="application/json")
    answer.set_etag(tag)
    return answer


@blueprint.get("/timeline/bookings/<uuid:booking_id>", endpoint="timeline_card")
@needs("booking.see")
def card(booking_id: UUID) -> str:
    """Give what stands beside a bar: who, what, and what can be done."""
    now = utc_now()
    with reading() as session:
        booking = bookings.get(session, actor=actor(), booking_id=booking_id, now=now)
    place = booking.items[0].instrument
    return render_template(
        "timeline/card.html",
        booking=booking,
        zone=place.facility.zone,
        may_do=deeds(booking, now),
        writes=_writes_to(booking.person_id, place.facility_id),
    )


def _writes_to(person_id: UUID, facility_id: int) -> bool:
    """Staff of the facility write to whom they serve."""
    return person_id != actor().person_id and may(actor(), "facility.desk", Subject(facility_id=facility_id))

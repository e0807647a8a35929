"""The officer's desk: a network in figures and on a map, over a chosen period, and the same as a file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from flask import abort, render_template, request, url_for
from werkzeug.wrappers import Response

from booking.db import Session, reading
from booking.domain import utilisation
from booking.domain.access import NotFound
from booking.domain.utilisation import HOUR, Hours
from booking.http.downloads import table_file
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import either, name_of
from booking.i18n import gettext as _
from booking.services import desks, officers
from booking.services.desks import MOST_DAYS, Figures, Used
from booking.services.officers import Waiting
from booking.web import blueprint, charts
from booking.web.availability import HOME_ZONE
from booking.web.cards import local_date
from booking.web.forms import as_date
from models import Category, Facility, Network

USUAL = 28
"""Days that are shown unless others are asked for."""

ROWS = 500


class By(StrEnum):
    """What the rows of the table are."""

    FACILITY = "facility"
    CLASS = "class"


class Sort(StrEnum):
    """By what the rows are in order."""

    NAME = "name"
    INSTRUMENTS = "instruments"
    OPEN = "open"
    BOOKED = "booked"
    UTILISATION = "utilisation"
    USE = "use"
    DOWNTIME = "downtime"
    NO_SHOWS = "no-shows"
    WAITING = "waiting"


@dataclass(frozen=True)
class Row:
    """A facility or a class with its figures."""

    key: str
    name: str
    href: str
    instruments: int
    hours: Hours
    target: float | None = None
    facility: Facility | None = None
    waiting: Waiting | None = None
    rounds: int = 0


@dataclass(frozen=True)
class Wish:
    """What the address asks for."""

    network: Network
    first: date
    last: date
    by: By
    sort: Sort
    down: bool

    @property
    def days(self) -> int:
        """How many days it covers."""
        return (self.last - self.first).days + 1

    def url(self, **changed: Any) -> str:
        """Give the address of this desk with something changed."""
        return url_for("web.officer", **(self.values() | changed))

    def sheet(self, kind: str) -> str:
        """Give the address of the table as a file."""
        return url_for("web.officer_sheet", kind=kind, **self.values())

    def values(self) -> dict[str, Any]:
        """Give what the address says."""
        return {
            "network": self.network.code,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "by": self.by.value,
            "sort": self.sort.value,
            "down": "1" if self.down else "0",
        }

    def turned(self, sort: Sort) -> str:
        """Give the address at which the rows are by this column, the other way round if they are already."""
        down = not self.down if sort is self.sort else sort is not Sort.NAME
        return self.url(sort=sort.value, down="1" if down else "0")


@blueprint.get("/officer", endpoint="officer")
@needs("network.desk")
def show_officers_desk() -> str:
    """Show a network in figures and on a map."""
    now = utc_now()
    with reading() as session:
        known = officers.networks_of(session, actor=actor())
        wish = _wish(known, now)
        found, rows = _read(session, wish, now)
        by_facility = rows if wish.by is By.FACILITY else _by_facility(session, wish, found, now)
    waits = [row.waiting for row in by_facility if row.waiting]
    return render_template(
        "networks/desk.html",
        wish=wish,
        networks=known,
        found=found,
        rows=rows[:ROWS],
        more=max(0, len(rows) - ROWS),
        places=[_on_map(row) for row in by_facility if row.facility and row.facility.latitude is not None],
        nowhere=[row for row in by_facility if row.facility and row.facility.latitude is None],
        facilities=len(by_facility),
        waiting=sum(one.all for one in waits),
        late=sum(one.late for one in waits),
        rounds=sum(row.rounds for row in by_facility),
        too_long=officers.TOO_LONG.days,
        periods=_periods(wish, now),
        columns=_columns(),
        sorts=Sort,
        period_words=charts.period_words,
        today=local_date(now, HOME_ZONE),
        now=now,
    )


@blueprint.get("/officer/table.<kind>", endpoint="officer_sheet")
@needs("network.desk")
def give_table(kind: str) -> Response:
    """Give the table as CSV or XLSX."""
    if kind not in {"csv", "xlsx"}:
        abort(404)
    now = utc_now()
    with reading() as session:
        wish = _wish(officers.networks_of(session, actor=actor()), now)
        _found, rows = _read(session, wish, now)
    heading = [
        *(_("Code"), _("Name"), _("From"), _("To"), _("Instruments"), _("Open (h)"), _("Booked (h)")),
        *(_("Used (h)"), _("Down (h)"), _("Missed (h)"), _("No-shows"), _("Utilisation"), _("Target")),
        *(_("Use of bookings"), _("Downtime"), _("Requests waiting"), _("Rounds")),
    ]
    lines = [
        [
            *(row.key, row.name, wish.first.isoformat(), wish.last.isoformat(), row.instruments),
            *(_hours(seconds) for seconds in (row.hours.open, row.hours.booked, row.hours.used)),
            *(_hours(row.hours.down), _hours(row.hours.lost), row.hours.missed),
            *(_rounded(row.hours.utilisation), _rounded(row.target), _rounded(row.hours.use)),
            *(_rounded(row.hours.downtime), row.waiting.all if row.waiting else 0, row.rounds),
        ]
        for row in rows
    ]
    return table_file(f"utilisation-{wish.by.value}", kind, heading, lines)


def _wish(known: Sequence[Network], now: datetime) -> Wish:
    """Read what the address asks for; what makes no sense counts as not said.

    :raises NotFound: if the reader is no officer of the network
    """
    code = request.args.get("network", "")
    network = next((row for row in known if code in {"", row.code}), None)
    if network is None:
        raise NotFound("network", code)
    today = local_date(now, HOME_ZONE)
    last = as_date(request.args.get("to")) or today - timedelta(days=1)
    first = as_date(request.args.get("from")) or last - timedelta(days=USUAL - 1)
    if first > last:
        first, last = last, first
    first = max(first, last - timedelta(days=MOST_DAYS - 1))
    by = By.CLASS if request.args.get("by") == By.CLASS else By.FACILITY
    wanted = request.args.get("sort", "")
    sort = Sort(wanted) if wanted in {one.value for one in Sort} else Sort.UTILISATION
    return Wish(network, first, last, by, sort, request.args.get("down", "1") != "0")


def _read(session: Session, wish: Wish, now: datetime) -> tuple[Figures, list[Row]]:
    found = desks.of_network(
        session, actor=actor(), network_id=wish.network.id, first=wish.first, days=wish.days, now=now
    )
    rows = (
        _by_facility(session, wish, found, now) if wish.by is By.FACILITY else _by_class(session, wish, found)
    )
    key = _key_of(wish.sort)
    return found, sorted(rows, key=key, reverse=wish.down)


def _by_facility(session: Session, wish: Wish, found: Figures, now: datetime) -> list[Row]:
    network_id = wish.network.id
    waiting = officers.waiting(session, actor=actor(), network_id=network_id, now=now)
    going_on = officers.rounds(session, actor=actor(), network_id=network_id)
    used: dict[int, list[Used]] = {}
    for row in found.rows:
        used.setdefault(row.place.facility_id, []).append(row)
    return [
        _row(
            one.code,
            name_of(one),
            url_for("web.facility", code=one.code),
            used.get(one.id, []),
            facility=one,
            waiting=waiting.get(one.id),
            rounds=going_on.get(one.id, 0),
        )
        for one in officers.facilities_of(session, actor=actor(), network_id=network_id)
    ]


def _by_class(session: Session, wish: Wish, found: Figures) -> list[Row]:
    used: dict[str, list[Used]] = {}
    for row in found.rows:
        used.setdefault((row.place.category_code or "")[:4], []).append(row)
    names = officers.categories(session, codes=[code for code in used if code])
    return [
        _row(
            code,
            _class_name(names, code),
            url_for("web.catalogue", network=wish.network.code, category=code or None),
            rows,
        )
        for code, rows in used.items()
    ]


def _class_name(names: Mapping[str, Category], code: str) -> str:
    known = names.get(code)
    if known is None:
        return code or _("No class")
    return either(known.name_zh, known.name_en) or code


def _row(key: str, name: str, href: str, used: Sequence[Used], **more: Any) -> Row:
    whole = utilisation.total(one.whole for one in used)
    return Row(key, name, href, len(used), whole, _target(used), **more)


def _target(used: Iterable[Used]) -> float | None:
    aimed = [(one.target, one.whole.open) for one in used if one.target is not None]
    opened = sum(seconds for _, seconds in aimed)
    return sum(share * seconds for share, seconds in aimed) / opened if opened else None


def _key_of(sort: Sort) -> Callable[[Row], Any]:
    keys: dict[Sort, Callable[[Row], Any]] = {
        Sort.NAME: lambda row: row.name,
        Sort.INSTRUMENTS: lambda row: row.instruments,
        Sort.OPEN: lambda row: row.hours.open,
        Sort.BOOKED: lambda row: row.hours.booked,
        Sort.UTILISATION: lambda row: row.hours.utilisation or 0,
        Sort.USE: lambda row: row.hours.use or 0,
        Sort.DOWNTIME: lambda row: row.hours.downtime or 0,
        Sort.NO_SHOWS: lambda row: row.hours.missed,
        Sort.WAITING: lambda row: row.waiting.late * 10_000 + row.waiting.all if row.waiting else 0,
    }
    return lambda row: (keys[sort](row), row.key)


def _columns() -> list[tuple[Sort, str, bool]]:
    return [
        (Sort.NAME, _("Name"), False),
        (Sort.UTILISATION, _("Utilisation"), False),
        (Sort.INSTRUMENTS, _("Instruments"), True),
        (Sort.OPEN, _("Open (h)"), True),
        (Sort.BOOKED, _("Booked (h)"), True),
        (Sort.USE, _("Use of bookings"), True),
        (Sort.DOWNTIME, _("Downtime"), True),
        (Sort.NO_SHOWS, _("No-shows"), True),
        (Sort.WAITING, _("Requests waiting"), True),
    ]


def _periods(wish: Wish, now: datetime) -> list[tuple[str, str, bool]]:
    """Give the usual periods: their words, their addresses, and which is shown."""
    today = local_date(now, HOME_ZONE)
    last = today - timedelta(days=1)
    firsts = [
        (_("4 weeks"), today - timedelta(days=28)),
        (_("12 weeks"), today - timedelta(days=84)),
        (_("This year"), min(date(today.year, 1, 1), last)),
    ]
    return [
        (
            words,
            wish.url(**{"from": first.isoformat(), "to": last.isoformat()}),
            (wish.first, wish.last) == (first, last),
        )
        for words, first in firsts
    ]


def _on_map(row: Row) -> dict[str, Any]:
    """Give a facility as the map draws it: the circle by utilisation, quiet where nothing was open."""
    share = row.hours.utilisation
    place = row.facility
    aimed = row.target if row.target is not None else 0.5
    tone = "quiet" if share is None else ("good" if share >= aimed else "warn")
    return {
        "code": row.key,
        "name": row.name,
        "lat": place.latitude if place else None,
        "lon": place.longitude if place else None,
        "label": charts.percent(share),
        "size": min(1.0, share or 0.0),
        "tone": tone,
        "note": _(
            "%(booked)s of %(open)s h booked",
            booked=charts.hours(row.hours.booked),
            open=charts.hours(row.hours.open),
        ),
        "href": row.href,
        "town": place.town if place else "",
    }


def _hours(seconds: int) -> float:
    return round(seconds / HOUR, 2)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)

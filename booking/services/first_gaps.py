"""When there is room first: what the database tells of many instruments before any of them is looked at closely."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    JSON,
    BindParameter,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    String,
    Text,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from booking.domain import availability
from booking.domain.hours import WeeklyHours, open_spans, zone
from booking.domain.policy import SHEET, RuleKind
from booking.domain.spans import Span, intersect
from models import Facility, Instrument, Occupation, OpeningRule, Rule
from models.base import UtcDateTime

PROBED = 2000
"""Of so many the database is asked."""

STRETCH = timedelta(days=14)
"""So much of the opening hours is laid out at a time."""


class Gap(NamedTuple):
    """An instrument, and an instant before which no use can begin on it."""

    at: datetime
    code: str
    place: int


def find(
    session: Session,
    *,
    suits: Iterable[ColumnElement[bool]],
    duration: timedelta,
    within: Span,
    part: str,
    days: str,
    most: int,
    now: datetime,
) -> list[Gap]:
    """Give of what suits the instants before which no use of a length can begin; the earliest first, then by code.

    What an instrument's own sheet says counts where no rule stands nearer. On one unit it is the end of the first row
    of the ledger after which there is room for long enough; where there are several units, or a hold that may have run
    out, it is when the instrument opens. Three statements: what suits comes and goes in lists of those that are alike.
    """
    postgres = session.get_bind().dialect.name == "postgresql"
    few = select(Instrument.id).where(*suits).order_by(Instrument.id).limit(PROBED).subquery()
    ids = session.scalar(select(func.aggregate_strings(cast(few.c.id, String), ",")))
    if not ids:
        return []
    future = Span(max(within.start, now), within.end)
    weeks: dict[tuple[str, str], _Week] = {}
    asked: list[_Alike] = []
    for row in session.execute(_alike(postgres=postgres), {"ids": ids}):
        key = row.zone, row.own or row.hours or ""
        if key not in weeks:
            weeks[key] = _Week(*key, future, part, days)
        if alike := _asked(row, weeks[key], duration, future, now):
            asked.append(alike)
    if not asked:
        return []
    found = []
    groups = [one.told(number, postgres=postgres) for number, one in enumerate(asked)]
    where = {"groups": groups, "end": within.end, "most": most}
    for number, place, code, at in session.execute(_room(postgres=postgres), where):
        alike = asked[number]
        begin = alike.week.first(at)
        if begin and begin <= alike.latest:
            found.append(Gap(begin, code, place))
    return sorted(found)


class _Alike(NamedTuple):
    """Instruments that are open alike and want the same of a use: when it may begin, and the time around it."""

    ids: str
    many: bool
    week: "_Week"
    since: datetime
    latest: datetime
    duration: timedelta
    setup: timedelta
    cleanup: timedelta

    def told(self, number: int, *, postgres: bool) -> dict[str, Any]:
        """Give what the database is told of them, by the names of `_TOLD`."""
        return {
            "number": number,
            "ids": self.ids,
            "many": self.many,
            "since": _text(self.since, postgres=postgres),
            "until": _text(self.since + self.duration + self.cleanup, postgres=postgres),
            "around": int((self.setup + self.duration + self.cleanup).total_seconds()),
            "setup": int(self.setup.total_seconds()),
        }


@cache
def _alike(*, postgres: bool) -> Any:
    """Select instruments by their hours, or their facility's, and by their sheet where no rule stands nearer."""
    ids: BindParameter[str] = bindparam("ids", type_=Text)
    # A join would let PostgreSQL read all instruments to find some.
    which = (
        Instrument.id == any_(_numbers(ids))
        if postgres
        else Instrument.id.in_(select(_spread(ids, postgres=postgres).c.value))
    )
    sheet = [getattr(Instrument, f"{name}_minutes") for name in SHEET]
    many = (Instrument.units > 1).label("many")
    few = select(Instrument.id, Instrument.facility_id, many, *sheet).where(which).cte("few")
    owns, ours = (
        _hours(OpeningRule.instrument_id, few.c.id),
        _hours(OpeningRule.facility_id, few.c.facility_id),
    )
    nearer = Rule.kind == RuleKind.SETTING, Rule.instrument_id.in_(select(few.c.id))
    ruled = select(Rule.instrument_id.label("whose")).where(*nearer).distinct().subquery()
    kinds = (
        Facility.zone,
        owns.c.hours.label("own"),
        ours.c.hours,
        ruled.c.whose.is_not(None).label("ruled"),
    )
    each = (
        select(few.c.id, *list(few.c)[2:], *kinds)
        .join_from(few, Facility, Facility.id == few.c.facility_id)
        .outerjoin(owns, owns.c.whose == few.c.id)
        .outerjoin(ours, ours.c.whose == few.c.facility_id)
        .outerjoin(ruled, ruled.c.whose == few.c.id)
        .subquery()
    )
    alike = list(each.c)[1:]
    return select(func.aggregate_strings(cast(each.c.id, String), ",").label("ids"), *alike).group_by(*alike)


def _hours(whose: Any, wanted: ColumnElement[int]) -> Any:
    """Select the hours of each week that ever counted, in one text."""
    said = OpeningRule.weekday * 100_000_000 + OpeningRule.opens * 10_000 + OpeningRule.closes
    return (
        select(whose.label("whose"), func.aggregate_strings(cast(said, String), " ").label("hours"))
        .where(whose.in_(select(wanted)))
        .group_by(whose)
        .subquery()
    )


def _asked(row: Any, week: "_Week", duration: timedelta, future: Span, now: datetime) -> _Alike | None:
    """Give what a use needs by the sheet of some instruments; nothing if they allow none so long, or none then."""
    minutes = duration / timedelta(minutes=1)
    if not row.ruled and (
        minutes < (row.shortest_minutes or 0)
        or minutes > (row.longest_minutes or minutes)
        or minutes % (row.step_minutes or minutes)
    ):
        return None
    notice, horizon, setup, cleanup = (
        timedelta(minutes=0 if row.ruled else getattr(row, f"{name}_minutes") or 0)
        for name in ("notice", "horizon", "setup", "cleanup")
    )
    end = min(future.end, now + horizon) if horizon else future.end
    since = week.first(max(future.start, now + notice))
    if since is None or since > end - duration:
        return None
    return _Alike(row.ids, row.many, week, since, end - duration, duration, setup, cleanup)


class _Week:
    """When a use may begin by weekly hours, and on which days and in which part of them; laid out as it is asked."""

    def __init__(self, zone_name: str, hours: str, future: Span, part: str, days: str) -> None:
        self._zone = zone_name
        self._rules = [_weekly(int(said)) for said in hours.split()]
        self._asked = {"part": part, "days": days} if part or days else None
        self._left = future
        self._spans: list[Span] = []
        self._ends: list[datetime] = []

    def first(self, at: datetime) -> datetime | None:
        """Give the first instant from one on."""
        while not self._ends or self._ends[-1] <= at:
            if not self._rules or self._left.start >= self._left.end:
                return None
            self._lay()
        return max(at, self._spans[bisect_right(self._ends, at)].start)

    def _lay(self) -> None:
        end = min(self._left.start + STRETCH, self._left.end)
        stretch, self._left = Span(self._left.start, end), Span(end, self._left.end)
        spans = open_spans(self._rules, stretch, zone(self._zone))
        if self._asked:
            spans = intersect(spans, availability.begins(stretch, self._zone, **self._asked))
        self._spans += spans
        self._ends += [span.end for span in spans]


def _weekly(said: int) -> WeeklyHours:
    return WeeklyHours(said // 100_000_000, said // 10_000 % 10_000, said % 10_000)


@cache
def _room(*, postgres: bool) -> Any:
    """Select number, id, code and time of those that have room for a use first."""
    one = _listed(postgres=postgres)
    held = select(Occupation.instrument_id).where(Occupation.expires_at.is_not(None))
    taken = (Occupation.instrument_id == one.c.place, Occupation.ends_at > one.c.since)
    first = select(Occupation.starts_at).where(*taken).order_by(Occupation.ends_at).limit(1)
    then = func.lead(Occupation.starts_at).over(order_by=Occupation.ends_at).label("then")
    rows = select(Occupation.ends_at, then).where(*taken, Occupation.starts_at < bindparam("end"))
    gap = rows.correlate(one).subquery()
    needed = _after(gap.c.ends_at, one.c.around, postgres=postgres)
    end = select(gap.c.ends_at).where(or_(gap.c.then.is_(None), gap.c.then >= needed)).order_by(gap.c.ends_at)
    room = case(
        (or_(one.c.many, one.c.place.in_(held)), one.c.since),
        (func.coalesce(first.scalar_subquery() >= one.c.until, true()), one.c.since),
        else_=_after(end.limit(1).scalar_subquery(), one.c.setup, postgres=postgres),
    )
    at = type_coerce(room, UtcDateTime).label("at")
    found = select(one.c.number, one.c.place, Instrument.code, at)
    found = found.join_from(one, Instrument, Instrument.id == one.c.place)
    return found.order_by(at, Instrument.code).limit(bindparam("most", type_=Integer))


_TOLD: dict[str, Any] = {
    "number": Integer(),
    "ids": Text(),
    "many": Boolean(),
    "since": Text(),
    "until": Text(),
    "around": Integer(),
    "setup": Integer(),
}


def _listed(*, postgres: bool) -> FromClause:
    """List the instruments of all groups with what is told of each group."""
    groups: BindParameter[Any] = bindparam("groups", type_=JSON())
    said: dict[str, ColumnElement[Any]]
    if postgres:
        names = _TOLD | dict.fromkeys(("since", "until"), DateTime(timezone=True))
        columns: list[Any] = [column(name, kind) for name, kind in names.items()]
        alike = (
            func.json_to_recordset(groups)
            .table_valued(*columns, name="alike")
            .render_derived(with_types=True)
        )
        said = dict(alike.c.items())
    else:
        alike = func.json_each(groups).table_valued(column("value", JSON), name="alike")
        said = {
            name: func.json_extract(alike.c.value, f"$.{name}", type_=kind) for name, kind in _TOLD.items()
        }
    places = _spread(said["ids"], postgres=postgres)
    listed = select(
        places.c.value.label("place"), *(said[name].label(name) for name in _TOLD if name != "ids")
    )
    listed = listed.select_from(alike.join(places, true()))
    return listed.cte("asked").prefix_with("MATERIALIZED", dialect="postgresql")


def _spread(ids: ColumnElement[str], *, postgres: bool) -> Any:
    """Give the ids of a text, which has commas between, as the column `value` of a table."""
    if postgres:
        return (
            func.unnest(_numbers(ids)).table_valued(column("value", Integer), name="places").render_derived()
        )
    return func.json_each(literal("[") + ids + "]").table_valued(column("value", Integer), name="places")


def _numbers(ids: ColumnElement[str]) -> Any:
    return cast(func.string_to_array(ids, ","), ARRAY(Integer))


def _text(at: datetime, *, postgres: bool) -> str:
    """Write a time as the engine compares it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}{'+00' if postgres else ''}"


def _after(at: ColumnElement[datetime], seconds: ColumnElement[int], *, postgres: bool) -> Any:
    """Give so many seconds after a time."""
    if postgres:
        return type_coerce(at, DateTime(timezone=True)) + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    return func.strftime("%Y-%m-%d %H:%M:%f", at, func.format("+%d seconds", seconds))

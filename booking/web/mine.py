"""Below the doors of the home page: what is next, what waits for me, hours, money, favourites, and my group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import url_for

from booking import i18n, wording
from booking.db import Session
from booking.domain import hours
from booking.domain.access import Actor, could
from booking.domain.lifecycle import State
from booking.domain.quotas import Measure, Period
from booking.domain.spans import Span
from booking.http.context import public_url_for
from booking.i18n import gettext as _
from booking.i18n import name_of, ngettext
from booking.services import (
    approvals,
    bookings,
    closures,
    credit,
    favourites,
    instruments,
    lacks,
    mine,
    network_requests,
    notifications,
    proposals,
    qualification_needs,
    quotas,
    transfers,
    waitlist,
)
from booking.services.lacks import Lack, Lacking
from booking.services.mine import Share
from booking.services.quotas import Balance
from booking.web.availability import HOME_ZONE
from booking.web.bookings import deeds
from booking.web.cards import Card, cards, local_date
from booking.web.forms import local_midnight
from booking.web.offline import code_of
from models import Booking, Instrument, Project

AHEAD = timedelta(days=365)
BEHIND = timedelta(days=60)
NEXT = 5
AGAIN = 3
FAVOURITES = 8
LIMITS = 4
LIVING = (State.REQUESTED, State.CONFIRMED, State.CHECKED_IN)
NEAR = timedelta(hours=2)
CODE_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Member:
    """A member of the group with what they booked, whole and by project."""

    name: str
    bookings: int
    seconds: int
    projects: tuple[tuple[Project | None, int], ...]


def facts(session: Session, who: Actor, now: datetime) -> dict[str, Any]:
    """Give all that the template `home/mine.html` tells; a constant number of statements."""
    if not who.signed_in:
        return {"again": [], "favourites": []}
    ahead = Span(now, now + AHEAD)
    upcoming, total = bookings.listing(
        session, actor=who, mine=True, within=ahead, states=LIVING, page_size=NEXT
    )
    again, kept = _cards(session, who, now)
    month, quarter = span_of(now, 1), span_of(now, 3)
    places = {item.instrument_id: item.instrument for booking in upcoming for item in booking.items}
    places |= {card.instrument.id: card.instrument for card in (*again, *kept)}
    return {
        "upcoming": upcoming,
        "more_upcoming": max(0, total - len(upcoming)),
        "may_do": {booking.id: deeds(booking, now) for booking in upcoming},
        "near": {booking.id for booking in upcoming if booking.starts_at - now < NEAR},
        "struck": closures.struck(session, found=upcoming, now=now),
        "mend": to_mend(session, who, upcoming, now),
        "code": next_code(upcoming, now),
        "again": again,
        "favourites": kept,
        "waiting": approvals.waiting(session, actor=who, now=now) if could(who, "approval.decide") else 0,
        "offered": waitlist.offered(session, actor=who, now=now),
        "joining": network_requests.to_answer(session, actor=who),
        "handed": transfers.waiting(session, actor=who),
        "proposed": len(proposals.mine(session, actor=who, now=now)),
        "questions": mine.questions(session, actor=who, now=now),
        "to_comment": mine.to_comment(session, actor=who, now=now),
        "unread": notifications.unread(session, actor=who),
        "wishes": mine.wishes(session, actor=who),
        "limits": limits(session, who, list(places.values()), now),
        "booked_hours": mine.hours_booked(session, actor=who, within=month),
        "spent_month": mine.spending(session, actor=who, within=month, now=now),
        "spent_quarter": mine.spending(session, actor=who, within=quarter, now=now),
        "month": month.start,
        "standings": credit.own(session, actor=who, now=now),
        "group": members(mine.group(session, actor=who, within=month)),
        "leads": mine.leads(session, actor=who),
        "home_zone": HOME_ZONE,
    }


@dataclass(frozen=True)
class Mend:
    """A line of what is missing or runs out, and the page on which it is mended."""

    words: str
    href: str
    symbol: str = "document"


def to_mend(session: Session, who: Actor, found: Sequence[Booking], now: datetime) -> list[Mend]:
    """Say what the next bookings lack and which qualifications run out, each with where it is mended."""
    lines = []
    wanted = qualification_needs.wanting(session, found=found, now=now)
    papers = lacks.of_bookings(session, found=found, now=now)
    for booking in found:
        named = {"what": _places(booking), "day": _day(booking)}
        for code in dict.fromkeys(one.params["qualification"] for one in wanted.get(booking.id, ())):
            words = _("Training is needed before %(what)s on %(day)s", **named)
            lines.append(Mend(words, url_for("web.qualification", code=code), "shield"))
        lines += [
            Mend(_lack_said(lack, named), _mended_at(lack, booking)) for lack in papers.get(booking.id, ())
        ]
    for row in lacks.ending(session, actor=who, now=now):
        words = _(
            "Your qualification “%(name)s” counts until %(day)s",
            name=name_of(row.qualification),
            day=i18n.format_date(row.expires_on or now),
        )
        lines.append(Mend(words, url_for("web.qualification", code=row.qualification.code), "shield"))
    return lines


def _lack_said(lack: Lack, named: Mapping[str, str]) -> str:
    named = {**named, "chemicals": _(", ").join(lack.chemicals)}
    return {
        Lacking.PERMIT: _(
            "The number of the permit for %(chemicals)s is missing: %(what)s on %(day)s", **named
        ),
        Lacking.DATA_SHEET: _(
            "The safety data sheet of %(chemicals)s is missing: %(what)s on %(day)s", **named
        ),
        Lacking.DECLARATION: _(
            "No chemicals are declared; if you bring some, say which: %(what)s on %(day)s", **named
        ),
    }[lack.what]


def _mended_at(lack: Lack, booking: Booking) -> str:
    if lack.what is Lacking.DATA_SHEET:
        return url_for("web.booking", booking_id=booking.id, add="paper", _anchor="papers-title")
    return url_for("web.chemicals", booking_id=booking.id)


def _places(booking: Booking) -> str:
    return " + ".join(name_of(item.instrument) for item in booking.items)


def _day(booking: Booking) -> str:
    return i18n.format_date(booking.starts_at, booking.items[0].instrument.facility.zone, "day")


def next_code(found: Sequence[Booking], now: datetime) -> tuple[UUID, dict[str, Any]] | None:
    """Give the next run that somebody can soon be let in to, with the code by which staff open it."""
    for booking in found:
        if booking.state is State.CONFIRMED and booking.starts_at - now < CODE_WITHIN:
            return booking.id, code_of(public_url_for("web.booking", booking_id=booking.id))
    return None


def limits(
    session: Session, who: Actor, places: Sequence[Instrument], now: datetime
) -> list[tuple[str, str, str, float]]:
    """Say the limits that count at these instruments: where, over how long, used of how much, and the share."""
    found = quotas.balances(session, actor=who, places=places, now=now)
    return [(place_said(one), period_said(one), amount_said(one), share_of(one)) for one in found[:LIMITS]]


def place_said(one: Balance) -> str:
    """Say where and for whom a limit counts."""
    return _(
        "%(party)s, at %(place)s",
        party=wording.party_name(one.quota.party.value),
        place=wording.place_name(one.place),
    )


def period_said(one: Balance) -> str:
    """Say over how long a limit counts."""
    return {
        Period.DAY: _("today"),
        Period.WEEK: _("this week"),
        Period.MONTH: _("this month"),
        Period.ROLLING: ngettext("in the last %(num)d day", "in the last %(num)d days", one.quota.days),
    }[one.quota.period]


def amount_said(one: Balance) -> str:
    """Say how much of a limit is used and left."""
    if one.quota.measure is Measure.HOURS:
        return _(
            "%(used)s h of %(limit)s h used, %(left)s h left",
            used=wording.hours(one.used),
            limit=wording.hours(one.quota.limit),
            left=wording.hours(one.left),
        )
    return _(
        "%(used)s of %(limit)s bookings, %(left)s left", used=one.used, limit=one.quota.limit, left=one.left
    )


def share_of(one: Balance) -> float:
    """Give the used share of a limit, 0 to 1."""
    return min(1.0, one.used / one.quota.limit) if one.quota.limit else 1.0


def members(shares: Sequence[Share]) -> list[Member]:
    """Put together what each member booked, the most first."""
    found: dict[Any, list[Share]] = {}
    for one in shares:
        found.setdefault(one.person_id, []).append(one)
    rows = [
        Member(
            own[0].person,
            sum(one.bookings for one in own),
            sum(one.seconds for one in own),
            tuple((one.project, one.seconds) for one in own),
        )
        for own in found.values()
    ]
    return sorted(rows, key=lambda row: (-row.seconds, row.name))


def span_of(now: datetime, months: int) -> Span:
    """Give the calendar month, or the quarter, in which a moment lies."""
    zone = hours.zone(HOME_ZONE)
    today = local_date(now, HOME_ZONE)
    first = date(today.year, (today.month - 1) // months * months + 1, 1)
    after = first.year * 12 + first.month - 1 + months
    last = date(after // 12, after % 12 + 1, 1)
    return Span(local_midnight(first, zone), local_midnight(last, zone))


def _cards(session: Session, who: Actor, now: datetime) -> tuple[list[Card], list[Card]]:
    """Give the instruments that somebody used or booked last, and their favourites, each with its next free time."""
    chosen = _used_last(
        session, who, now
    )  # first, since bookings are read anew, with less of their instruments
    kept = favourites.listing(session, actor=who)[:FAVOURITES]
    known = {row.id for row in kept}
    rows = instruments.listed(
        session, actor=who, instrument_ids=[place for place in chosen if place not in known][:AGAIN]
    )
    again = [rows[place] for place in chosen if place in rows]
    found = cards(session, actor=who, instruments=[*again, *kept], now=now)
    return found[: len(again)], found[len(again) :]


def _used_last(session: Session, who: Actor, now: datetime) -> list[int]:
    around = Span(now - BEHIND, now + BEHIND)
    past, _total = bookings.listing(session, actor=who, mine=True, within=around, page_size=100)
    latest: dict[int, None] = {}
    for booking in sorted(past, key=_created, reverse=True):
        for item in booking.items:
            latest.setdefault(item.instrument_id)
    return list(latest)


def _created(booking: Booking) -> datetime:
    return booking.created_at

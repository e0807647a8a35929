"""The rules that concern a place as a table: where each stands, what it says in words, and the same in figures."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from booking import wording
from booking.db import Session
from booking.domain.access import NotFound
from booking.domain.policy import SETTINGS, Figure, PlaceKind, RuleKind
from booking.domain.quotas import Measure
from booking.http.identity import actor
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import approval_rules, policies, rules
from booking.services.rules import Where
from booking.web.approval_rules import words_of
from booking.web.forms import as_code
from booking.web.qualifications import mode_words
from booking.web.rules import figure, place_words, rule_word, when_word
from models import Rule

SORTS = frozenset({"instrument", "facility", "network", "category"})

Row = Sequence[object]


def table(session: Session, *, sort: str, code: str, now: datetime) -> tuple[Sequence[str], Iterator[Row]]:
    """Give the heading and the rows of the rules that concern a place.

    :raises NotFound: if there is no such place for the reader
    """
    if sort not in SORTS:
        raise NotFound("place", sort)
    at = rules.where(session, actor=actor(), kind=PlaceKind(sort), code=as_code(code))
    found = rules.around(session, actor=actor(), at=at)
    places = {place: rules.where_of(session, place) for place in {policies.place_of(row) for row in found}}
    steps = _steps(session, list(places.values()), now)
    heading = [
        *(_("Level"), _("Code"), _("Where it stands"), _("Kind"), _("Rule"), _("Value")),
        *(_("Name in figures"), _("Value in figures"), _("Unit"), _("For whom and when")),
        *(_("Counts from"), _("Counts until"), _("Note"), _("Details")),
    ]
    return heading, (_row(row, places[policies.place_of(row)], steps) for row in found)


def _steps(session: Session, places: Sequence[Where], now: datetime) -> dict[int, str]:
    """Give what rules of approval say, for who may change them: they name people."""
    lines = (
        line
        for at in places
        if rules.editable(actor(), at)
        for line in approval_rules.listing(session, at=at, today=rules.day_at(at, now))
    )
    return {line.rule.id: wording.joined(words_of(line)) for line in lines}


def _row(row: Rule, at: Where, steps: Mapping[int, str]) -> Row:
    rule = policies.as_rule(row)
    said = {
        RuleKind.QUALIFICATION: lambda: mode_words().get(row.data.get("mode", ""), ("",))[0],
        RuleKind.APPROVAL: lambda: steps.get(row.id, ""),
    }.get(row.kind, lambda: figure(rule))()
    open_to_all = row.kind is not RuleKind.APPROVAL or row.id in steps
    return [
        *(_level(at.kind), at.code, name_of(at), _kind(row.kind), rule_word(rule), said),
        *(row.name, row.value, _unit(row), when_word(rule) or _("everybody, always")),
        *(row.valid_from, row.valid_to, row.note),
        json.dumps(row.data, ensure_ascii=False, sort_keys=True) if row.data and open_to_all else "",
    ]


def _level(kind: PlaceKind) -> str:
    return _("Instrument") if kind is PlaceKind.INSTRUMENT else place_words()[kind]


def _kind(kind: RuleKind) -> str:
    return {
        RuleKind.SETTING: _("Setting"),
        RuleKind.QUOTA: _("Limit over time"),
        RuleKind.QUALIFICATION: _("Qualification"),
        RuleKind.APPROVAL: _("Approval"),
    }[kind]


def _unit(row: Rule) -> str:
    """Say what the figure counts; nothing where there is none."""
    if row.value is None or row.kind in {RuleKind.QUALIFICATION, RuleKind.APPROVAL}:
        return ""
    if row.kind is RuleKind.QUOTA:
        return _("bookings") if row.data["measure"] == Measure.BOOKINGS else _("minutes")
    return {Figure.YES_NO: _("1 yes, 0 no"), Figure.NUMBER: _("number")}.get(
        SETTINGS[row.name].figure, _("minutes")
    )

"""Instruments without code: a new one from blank or like another, every field of one, publishing it, its history."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import inventory, vocabulary
from booking.domain.access import Subject, require
from booking.domain.policy import PlaceKind
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.sheets import Bad
from booking.http.forms import choices, fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import current_locale, name_of, pgettext
from booking.i18n import gettext as _
from booking.services import catalogue, facilities, histories, instrument_records, instruments, rules
from booking.web import abilities, blueprint, prices
from booking.web.facility_edit import demand
from booking.web.forms import as_code
from booking.web.judgement import sentences
from booking.web.rules import value_word
from models import Facility, Instrument

Answer = str | Redirect | tuple[str, int]

TEXTS = (
    *("name_zh", "name_en", "model", "manufacturer", "location", "original_value_wan"),
    *("about_zh", "about_en", "specifications_zh", "specifications_en", "rules_zh", "rules_en"),
    *("units", "unit_name", "capacity", "capacity_unit"),
)
"""What is typed as a sheet has it."""

LENGTHS = (
    *("step_minutes", "shortest_minutes", "longest_minutes", "notice_minutes", "horizon_minutes"),
    *("setup_minutes", "cleanup_minutes"),
)
"""What is typed as a length of time, such as 30 min, 2 h, 3 d."""

CHOSEN = ("kind", "category", "operator_need")
TICKED = ("approval_required", "confidential", "training_required")
MANY = ("modes", "hazards", "ability", "figure", "unit", "part")
SPARE_ROWS = 3
MOST_ROWS = 60

_LENGTH = re.compile(
    r"(\d{1,7}(?:[.,]\d{1,2})?)\s*(d|days?|天|h|hours?|小时|m|min|minutes?|分钟)?", re.IGNORECASE
)
_MINUTES = {"d": 1440, "天": 1440, "h": 60, "小": 60, "m": 1, "分": 1}


@dataclass(frozen=True)
class Inherited:
    """What would count if the instrument's own sheet left a field open, and where it comes from.

    `first`: it counts even if the sheet says something else.
    """

    value: str
    where: str
    href: str
    first: bool


@blueprint.get("/facilities/<code>/instruments/new", endpoint="new_instrument")
@needs("instrument.edit")
def show_new(code: str) -> Answer:
    """Show the form of a new instrument: blank, or as a copy of another."""
    like = as_code(request.args.get("like"))
    with reading() as session:
        facility = _facility(session, code)
        if not like:
            return _page(session, facility, None, _typed(inventory.defaults() | {"kind": "device"}), [], [])
        other = instruments.by_code(session, actor=actor(), code=like)
        values = instruments.values_of(instruments.state_of(session, other))
        typed = _typed(values) | {"like": other.code, "code": ""}
        for name in ("name_zh", "name_en"):
            typed[name] = typed[name] and _("%(name)s (copy)", name=typed[name])
        return _page(session, facility, None, typed, _rows(values), _parts(values), like=other)


@blueprint.post("/facilities/<code>/instruments/new", endpoint="make_instrument")
@needs("instrument.edit")
def make(code: str) -> Answer:
    """Make an instrument; it is a draft until it is published."""
    typed, changes, problems = _sent("code", "like")
    like = as_code(typed["like"])
    try:
        demand(problems)
        with transaction() as session:
            row = instrument_records.add(
                session,
                actor=actor(),
                facility_code=code,
                code=typed["code"].strip(),
                values=changes,
                like=like,
                now=utc_now(),
            )
            made = row.code
    except Invalid as error:
        with reading() as session:
            facility = _facility(session, code)
            other = instruments.by_code(session, actor=actor(), code=like) if like else None
            return _again(session, facility, None, typed, _said(error) | problems, like=other), 422
    flash(_("The draft is made. Nobody else sees it until you publish it."), "success")
    return redirect(url_for("web.instrument_files", code=made), 303)


@blueprint.get("/instruments/<code>/edit", endpoint="edit_instrument")
@needs("instrument.edit")
def show_edit(code: str) -> Answer:
    """Show all that an instrument says of itself as it can be edited."""
    with reading() as session:
        row = _mine(session, code)
        values = instruments.values_of(instruments.state_of(session, row))
        typed = _typed(values) | {"seen": row.updated_at.isoformat()}
        return _page(session, row.facility, row, typed, _rows(values), _parts(values))


@blueprint.post("/instruments/<code>/edit", endpoint="change_instrument")
@needs("instrument.edit")
def change(code: str) -> Answer:
    """Write what an instrument says of itself."""
    typed, changes, problems = _sent("seen")
    reasons: Sequence[Reason] = ()
    try:
        demand(problems)
        with transaction() as session:
            instrument_records.change(
                session,
                actor=actor(),
                code=code,
                changes=changes,
                seen=_instant(typed["seen"]),
                now=utc_now(),
            )
    except Invalid as error:
        problems = _said(error) | problems
    except Refused as refusal:
        reasons = refusal.reasons
    if problems or reasons:
        with reading() as session:
            row = _mine(session, code)
            page = _again(session, row.facility, row, typed, problems, reasons=reasons)
            return page, 422 if problems else 409
    flash(_("Kept."), "success")
    return redirect(url_for("web.instrument", code=code), 303)


@blueprint.post("/instruments/<code>/publication", endpoint="publish_instrument")
@needs("instrument.edit")
def publish(code: str) -> Answer:
    """Let everybody see an instrument, or make a draft of it again."""
    wanted = "yes" if fields("publish")["publish"] == "yes" else "no"
    try:
        with transaction() as session:
            instrument_records.change(
                session, actor=actor(), code=code, changes={"published": wanted}, now=utc_now()
            )
    except Refused as refusal:
        with reading() as session:
            row = _mine(session, code)
            values = instruments.values_of(instruments.state_of(session, row))
            typed = _typed(values) | {"seen": row.updated_at.isoformat()}
            page = _page(
                session, row.facility, row, typed, _rows(values), _parts(values), reasons=refusal.reasons
            )
            return page, 409
    if wanted == "yes":
        flash(_("It is published: everybody finds it in the catalogue."), "success")
    else:
        flash(_("It is a draft again: only the facility's staff see it."), "success")
    return redirect(url_for("web.instrument", code=code), 303)


@blueprint.get("/instruments/<code>/history", endpoint="instrument_history")
@needs("facility.desk")
def history(code: str) -> str:
    """Show what was changed on an instrument, by whom and when."""
    with reading() as session:
        row = instruments.by_code(session, actor=actor(), code=code)
        require(actor(), "facility.desk", Subject(facility_id=row.facility_id))
        deeds = histories.of_instrument(session, facility_id=row.facility_id, code=row.code)
    return render_template(
        "facilities/history.html",
        facility=row.facility,
        instrument=row,
        what=name_of(row),
        deeds=deeds,
        back=url_for("web.instrument", code=row.code),
        labels=labels() | prices.history_labels(),
    )


def _facility(session: Session, code: str) -> Facility:
    row = facilities.by_code(session, code=code)
    require(actor(), "instrument.edit", Subject(facility_id=row.id))
    return row


def _mine(session: Session, code: str) -> Instrument:
    row = instruments.by_code(session, actor=actor(), code=code)
    require(actor(), "instrument.edit", Subject(facility_id=row.facility_id))
    return row


# --- what is typed --------------------------------------------------------------------------------


def _sent(*more: str) -> tuple[dict[str, str], dict[str, Any], dict[str, str]]:
    """Give what was typed, what it says by the columns of a sheet, and a sentence for each field that is wrong."""
    typed = fields(*more, *TEXTS, *LENGTHS, *CHOSEN, *TICKED, many=MANY)
    raw: dict[str, Any] = {name: typed[name] for name in (*TEXTS, *CHOSEN)}
    raw |= {name: "yes" if typed[name] else "no" for name in TICKED}
    raw |= {name: choices(name) for name in ("modes", "hazards")}
    raw["parts"] = [code for code in choices("part") if code] if typed["kind"] == "line" else []
    problems: dict[str, str] = {}
    for name in LENGTHS:
        try:
            raw[name] = _minutes(typed[name])
        except Bad as bad:
            problems[name] = wording.cell_sentence(bad.code, bad.params)
    found = []
    for n, (tag, figure, unit) in enumerate(_ability_rows()):
        try:
            found.append(_ability(tag, figure, unit))
        except Bad as bad:
            problems[f"ability-{n}"] = wording.cell_sentence(bad.code, bad.params)
    raw["capabilities"] = [one for one in found if one]
    for name, value in raw.items():
        try:
            inventory.check(name, value)
        except Bad as bad:
            problems.setdefault(_field(name), wording.cell_sentence(bad.code, bad.params))
    return typed, raw, problems


def _ability_rows() -> list[tuple[str, str, str]]:
    rows = zip(choices("ability"), choices("figure"), choices("unit"), strict=False)
    return [(tag.strip(), figure.strip(), unit.strip()) for tag, figure, unit in rows][:MOST_ROWS]


def _ability(tag: str, figure: str, unit: str) -> str:
    """Write one row as a sheet has it: `volume_l=50 L`; nothing where no ability was chosen."""
    if not tag:
        if figure:
            raise Bad("required")
        return ""
    if not figure:
        return tag
    return f"{tag}={figure.replace(',', '.')} {unit or vocabulary.UNITS.get(tag, '')}".rstrip()


def _minutes(raw: str) -> int | None:
    """Read a length of time; a bare number is minutes, nothing says nothing."""
    text = raw.strip()
    if not text:
        return None
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise Bad("malformed", value=text[:40])
    amount = Decimal(found[1].replace(",", "."))
    minutes = amount * _MINUTES[(found[2] or "m")[0].lower()]
    if minutes != int(minutes):
        raise Bad("malformed", value=text[:40])
    return int(minutes)


def length_typed(minutes: int | None) -> str:
    """Give what one would type for a length of time."""
    if minutes is None:
        return ""
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes and minutes % size == 0:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"


def _instant(raw: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return at if at.tzinfo else None


def _field(name: str) -> str:
    return {"capabilities": "ability-0", "parts": "part-0", "modes": "modes-0", "hazards": "hazards-0"}.get(
        name, name
    )


def _said(error: Invalid) -> dict[str, str]:
    return {_field(name): wording.error_sentence(code) for name, code in error.errors.items()}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    typed = {name: _plain(values.get(name)) for name in (*TEXTS, *CHOSEN)}
    typed |= {name: length_typed(values.get(name)) for name in LENGTHS}
    typed |= {name: "1" if values.get(name) else "" for name in TICKED}
    return typed | {name: list(values.get(name) or ()) for name in ("modes", "hazards")}


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(one.tag, _plain(one.value), one.unit) for one in values["capabilities"]]


def _parts(values: Mapping[str, Any]) -> list[str]:
    return list(values["parts"])


# --- the page -------------------------------------------------------------------------------------


def _again(
    session: Session,
    facility: Facility,
    row: Instrument | None,
    typed: Mapping[str, Any],
    problems: Mapping[str, str],
    *,
    reasons: Sequence[Reason] = (),
    like: Instrument | None = None,
) -> str:
    """Show the form again with what was typed."""
    shown = {**typed, "modes": choices("modes"), "hazards": choices("hazards")}
    parts = [code for code in choices("part") if code]
    return _page(
        session,
        facility,
        row,
        shown,
        _ability_rows(),
        parts,
        problems=problems,
        reasons=reasons,
        like=like,
    )


def _page(
    session: Session,
    facility: Facility,
    row: Instrument | None,
    typed: Mapping[str, Any],
    rows: Sequence[tuple[str, str, str]],
    parts: Sequence[str],
    *,
    problems: Mapping[str, str] | None = None,
    reasons: Sequence[Reason] = (),
    like: Instrument | None = None,
) -> str:
    words, found = labels(), dict(problems or {})
    while rows and not any(rows[-1]):
        rows = rows[:-1]
    others = instruments.of_facility(session, actor=actor(), code=facility.code)
    named = instruments.by_ids(session, instrument_ids=others)
    return render_template(
        "instruments/edit.html",
        facility=facility,
        instrument=row,
        like=like,
        typed=typed,
        rows=[*rows, *([("", "", "")] * SPARE_ROWS)],
        parts=[*parts, *([""] * SPARE_ROWS)],
        problems=found,
        errors={
            name: _("%(field)s: %(problem)s", field=_label(words, name), problem=sentence)
            for name, sentence in found.items()
        },
        reasons=sentences(reasons, facility.zone),
        labels=words,
        kinds=list(vocabulary.KINDS),
        needs=list(vocabulary.OPERATOR_NEEDS),
        modes=list(vocabulary.MODES),
        hazards=list(vocabulary.HAZARDS),
        classes=_classes(typed.get("category", "")),
        tags=_tags(rows),
        stations=[
            ("", _("None")),
            *(
                (one.code, f"{name_of(one)} · {one.code}")
                for one in named.values()
                if one.kind.value != "line" and (row is None or one.id != row.id)
            ),
        ],
        copies=[(one.code, f"{name_of(one)} · {one.code}") for one in named.values()],
        inherited=_inherited(session, row or like) if row or like else {},
    )


def _label(words: Mapping[str, str], name: str) -> str:
    stem = {"ability": "capabilities", "part": "parts"}.get(name.rpartition("-")[0], name.rpartition("-")[0])
    return words.get(name) or words.get(stem, name)


def _tags(rows: Sequence[tuple[str, str, str]]) -> list[Any]:
    known = {tag for _group, tags in abilities.options() for tag, _word in tags}
    own = sorted({tag for tag, _figure, _unit in rows if tag and tag not in known})
    extra = [(_("Of its own"), [(tag, tag.replace("_", " ")) for tag in own])] if own else []
    return [("", _("None")), *abilities.options(), *extra]


def _classes(now: str) -> list[tuple[str, str]]:
    found = [(one.code, f"{one.code} {one.name.zh if _zh() else one.name.en}") for one in vocabulary.CLASSES]
    if now and now not in catalogue.scheme_codes():
        found.append((now, now))
    return [("", _("Not said")), *sorted(found)]


def _zh() -> bool:
    return current_locale().startswith("zh")


def _inherited(session: Session, row: Instrument) -> dict[str, Inherited]:
    """Give what each length would be if the sheet said nothing of it, and where that stands."""
    found = {}
    for line in rules.without_sheet(session, instrument=row, now=utc_now()):
        href = url_for("web.rules", sort=line.where.kind.value, code=line.where.code) if line.where else ""
        where = name_of(line.where) if line.where else _("the usual")
        found[f"{line.name}_minutes"] = Inherited(
            value_word(line.name, line.value),
            where,
            href,
            first=line.rule is not None and line.rule.place.kind is PlaceKind.INSTRUMENT,
        )
    return found


def labels() -> dict[str, str]:
    """Name what an instrument says of itself."""
    return {
        "code": _("Code"),
        "name_zh": _("Chinese name"),
        "name_en": _("English name"),
        "kind": _("Kind"),
        "category": _("Class"),
        "model": _("Model"),
        "manufacturer": _("Maker"),
        "location": _("Place"),
        "original_value_wan": _("Original value, in 万元"),
        "about_zh": _("What it is for, in Chinese"),
        "about_en": _("What it is for, in English"),
        "specifications_zh": _("Specification, in Chinese"),
        "specifications_en": _("Specification, in English"),
        "rules_zh": _("House rules, in Chinese"),
        "rules_en": _("House rules, in English"),
        "units": _("Units"),
        "unit_name": _("What one unit is called"),
        "capacity": _("Capacity"),
        "capacity_unit": _("Its unit"),
        "capabilities": _("Abilities"),
        "modes": _("Ways of use"),
        "hazards": _("Hazards"),
        "parts": _("Stations"),
        "stations": _("Names of the stations"),
        "step_minutes": pgettext("of time", "Step"),
        "shortest_minutes": _("Shortest use"),
        "longest_minutes": _("Longest use"),
        "notice_minutes": _("Notice"),
        "horizon_minutes": _("How far ahead"),
        "setup_minutes": _("Set-up before each use"),
        "cleanup_minutes": _("Clean-up after each use"),
        "operator_need": _("When an operator must be there"),
        "approval_required": _("A manager approves each booking"),
        "confidential": _("Bookings are confidential"),
        "training_required": _("Users must be trained"),
        "published": _("Published"),
        "bookable": _("Can be booked"),
        "opening": _("Own opening hours"),
        "hours": _("Opening hours"),
    }

"""What a facility says of processes: changeovers between families of work, and utilities that instruments share."""

from collections.abc import Mapping, Sequence

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.access import Forbidden, Subject, may
from booking.domain.rules import Invalid
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import facilities, instruments, processes
from booking.web import blueprint
from booking.web.forms import Intake, as_code, said
from models import Facility, Instrument

Answer = str | Response | Redirect | tuple[str, int]

PAIRS = 40
"""So many pairs of families has the form at most."""

SPARE = 3
"""So many empty rows it offers."""

PAIR_PARTS = ("before", "after", "minutes")
UTILITY_FIELDS = ("code", "name_zh", "name_en", "unit", "capacity", "drop")


@blueprint.get("/facilities/<code>/processes", endpoint="facility_processes")
@needs("process.edit")
def show_settings(code: str) -> Answer:
    """Show a facility's changeovers, or one instrument's, and its shared utilities."""
    return _page(code, as_code(request.args.get("instrument")))


@blueprint.post("/facilities/<code>/changeovers")
@needs("process.edit")
def set_changeovers(code: str) -> Answer:
    """Set all changeovers of a facility, or of one of its instruments."""
    names = [f"{part}-{row}" for row in range(1, PAIRS + 1) for part in PAIR_PARTS]
    typed = fields("instrument", *names)
    wanted = as_code(typed["instrument"])
    minutes, errors = _pairs(typed)
    if errors:
        return _page(code, wanted, typed=typed, errors=errors)
    try:
        with transaction() as session:
            facility, instrument = _place(session, code, wanted)
            processes.replace_changeovers(
                session,
                actor=actor(),
                facility=facility,
                instrument=instrument,
                minutes=minutes,
                now=utc_now(),
            )
    except Invalid as error:
        return _page(code, wanted, typed=typed, errors={"before-1": next(iter(error.errors.values()))})
    flash(_("Changeovers saved. They count for bookings made from now on."), "success")
    return redirect(url_for("web.facility_processes", code=code, instrument=wanted or None), 303)


@blueprint.post("/facilities/<code>/utilities")
@needs("process.edit")
def keep_utility(code: str) -> Answer:
    """Add, change or give up a shared utility."""
    typed = fields(*UTILITY_FIELDS)
    intake = Intake(typed)
    capacity = intake.whole("capacity", least=0, most=processes.MOST_CAPACITY) if not typed["drop"] else 0
    if intake.errors or capacity is None:
        return _page(code, None, utility=typed, errors=intake.errors)
    now = utc_now()
    try:
        with transaction() as session:
            facility, _instrument = _place(session, code, None)
            if typed["drop"]:
                processes.drop_utility(session, actor=actor(), facility=facility, code=typed["code"], now=now)
            else:
                processes.keep_utility(
                    session,
                    actor=actor(),
                    facility=facility,
                    code=typed["code"],
                    name_zh=typed["name_zh"] or typed["name_en"],
                    name_en=typed["name_en"],
                    unit=typed["unit"],
                    capacity=capacity,
                    now=now,
                )
    except Invalid as error:
        return _page(code, None, utility=typed, errors=error.errors)
    flash(_("Utility given up.") if typed["drop"] else _("Utility saved."), "success")
    return redirect(url_for("web.facility_processes", code=code, _anchor="utilities"), 303)


def _place(session: Session, code: str, instrument: str | None) -> tuple[Facility, Instrument | None]:
    """Give the facility that the reader manages, and the instrument of it that is named, if any.

    :raises NotFound: if there is no such facility or instrument
    :raises Forbidden: if the reader does not manage it
    """
    facility = facilities.by_code(session, code=code)
    if not may(actor(), "process.edit", Subject(facility_id=facility.id)):
        raise Forbidden("process.edit")
    if not instrument:
        return facility, None
    row = instruments.by_code(session, actor=actor(), code=instrument)
    if row.facility_id != facility.id:
        raise Forbidden("process.edit")
    return facility, row


def _pairs(typed: Mapping[str, str]) -> tuple[dict[tuple[str, str], int], dict[str, str]]:
    """Read the rows in which something stands."""
    intake = Intake(typed)
    found: dict[tuple[str, str], int] = {}
    for row in range(1, PAIRS + 1):
        if not any(intake.raw(f"{part}-{row}") for part in PAIR_PARTS):
            continue
        pair = intake.raw(f"before-{row}"), intake.raw(f"after-{row}")
        minutes = intake.whole(f"minutes-{row}", least=0, most=processes.LONGEST_CHANGEOVER)
        for name, family in zip(("before", "after"), pair, strict=True):
            if not family:
                intake.errors[f"{name}-{row}"] = "required"
            elif len(family) > processes.LONGEST_FAMILY:
                intake.errors[f"{name}-{row}"] = "too_long_text"
        if pair in found:
            intake.errors[f"after-{row}"] = "duplicate"
        if minutes is not None:
            found[pair] = minutes
    return found, intake.errors


def _page(
    code: str,
    wanted: str | None,
    *,
    typed: Mapping[str, str] | None = None,
    utility: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    wrong = dict(errors or {})
    with reading() as session:
        facility, instrument = _place(session, code, wanted)
        known = processes.changeovers(session, facility=facility, instrument=instrument)
        shared = processes.utilities(session, facility_ids=[facility.id])
        codes = instruments.of_facility(session, actor=actor(), code=code)
        rows = instruments.listed(session, actor=actor(), instrument_ids=codes)
        families = processes.families(session, facility=facility)
    page = render_template(
        "processes/settings.html",
        facility=facility,
        instrument=instrument,
        places=[
            ("", _("The whole facility")),
            *((row.code, f"{name_of(row)} · {row.code}") for row in sorted(rows.values(), key=_code)),
        ],
        pairs=_rows(known, typed),
        families=families,
        shared=shared,
        utility=utility or dict.fromkeys(UTILITY_FIELDS, ""),
        errors=said(wrong, _labels()),
        problems={name: wording.error_sentence(what) for name, what in wrong.items()},
    )
    return page, 422 if wrong else 200


def _code(row: Instrument) -> str:
    return row.code


def _rows(known: processes.Matrix, typed: Mapping[str, str] | None) -> Sequence[Mapping[str, str]]:
    """Give the rows of the form: as typed, or as they are, and some empty ones."""
    if typed is not None:
        rows = [
            {part: typed[f"{part}-{row}"] for part in PAIR_PARTS}
            for row in range(1, PAIRS + 1)
            if any(typed[f"{part}-{row}"] for part in PAIR_PARTS)
        ]
    else:
        rows = [
            {"before": before, "after": after, "minutes": str(minutes)}
            for (before, after), minutes in sorted(known.items())
        ]
    empty = dict.fromkeys(PAIR_PARTS, "")
    return [*rows, *(empty for _row in range(max(0, min(SPARE, PAIRS - len(rows)))))][:PAIRS]


def _labels() -> dict[str, str]:
    words = {"before": _("From"), "after": _("To"), "minutes": _("Minutes")}
    found = {
        f"{part}-{row}": _("%(field)s (row %(row)s)", field=word, row=row)
        for row in range(1, PAIRS + 1)
        for part, word in words.items()
    }
    return found | {"code": _("Code"), "name_zh": _("Chinese name"), "capacity": _("How much there is")}

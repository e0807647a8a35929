"""Sheets that come in: tried first, with an error for each cell that is wrong, then written whole or not at all."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, rehearsal, transaction
from booking.domain import inventory, lists
from booking.domain.access import could
from booking.domain.sheets import CellError, Unreadable
from booking.http.context import settings
from booking.http.downloads import table_file
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import imports, list_imports
from booking.services.imports import Broken, Outcome
from booking.web import blueprint

Answer = str | Redirect | tuple[str, int]

MOST_SHOWN = 100
CARRIED = 600_000
"""Bytes of a file that the page of a trial carries to the next step; a larger one is chosen again."""


@dataclass(frozen=True)
class Sort:
    """What may come in: its words, how its file is read and written, and the columns of an empty sheet."""

    title: Callable[[], str]
    about: Callable[[], str]
    read: Callable[[bytes, str], Any]
    write: Callable[[Session, Any], Outcome]
    sample: Callable[[], tuple[Sequence[str], Sequence[object]]]
    action: str = "instrument.edit"
    kinds: str = ".csv,.xlsx"


def _inventory(session: Session, found: Any) -> Outcome:
    return imports.apply(session, actor=actor(), inventory=found, now=utc_now())


def _prices(session: Session, found: Any) -> Outcome:
    return imports.apply_to_known(session, actor=actor(), inventory=found, now=utc_now())


def _people(session: Session, found: Any) -> Outcome:
    return list_imports.people(session, actor=actor(), listed=found, key=settings().key(), now=utc_now())


def _closures(session: Session, found: Any) -> Outcome:
    return list_imports.closings(session, actor=actor(), listed=found, now=utc_now())


def _samples(columns: Mapping[str, tuple[Any, Any, str]]) -> tuple[Sequence[str], Sequence[object]]:
    return list(columns), [sample for _read, _empty, sample in columns.values()]


def _price_sample() -> tuple[Sequence[str], Sequence[object]]:
    names = inventory.PRICE_COLUMNS
    return names, [inventory.COLUMNS[name].sample for name in names]


SORTS: dict[str, Sort] = {
    "instruments": Sort(
        lambda: _("Instruments"),
        lambda: _(
            "New instruments are made and those that are there changed, told by their codes; columns that the file "
            "lacks stay as they are. A YAML file of an administrator brings facilities and networks too."
        ),
        inventory.read,
        _inventory,
        inventory.template_rows,
        kinds=".csv,.xlsx,.yaml,.yml",
    ),
    "prices": Sort(
        lambda: _("Prices"),
        lambda: _("Prices of instruments that are there, from the day that the sheet says, or from today."),
        inventory.read_prices,
        _prices,
        _price_sample,
    ),
    "closures": Sort(
        lambda: _("Closures"),
        lambda: _(
            "Times on the facility's clock. Without an instrument all of the facility is closed; what is to be at once "
            "displaces bookings, anything else is refused where there are some."
        ),
        lists.read_closures,
        _closures,
        lambda: _samples(lists.CLOSURES),
    ),
    "facilities": Sort(
        lambda: _("Facilities"),
        lambda: _("Facilities with their operators, told by their codes."),
        inventory.read_facilities,
        _inventory,
        inventory.facility_sample,
        action="person.administer",
    ),
    "people": Sort(
        lambda: _("People"),
        lambda: _(
            "Roles by e-mail address and the code of a facility, an organisation or a network. Who has no account gets "
            "a letter and comes in by its link."
        ),
        lists.read_people,
        _people,
        lambda: _samples(lists.PEOPLE),
        action="person.administer",
    ),
}
"""Every sort of sheet that comes in at the page; working days have a page of their own."""


@blueprint.get("/imports/<sort>", endpoint="import_page")
@needs("instrument.edit")
def show_import(sort: str) -> Answer:
    """Ask for a file."""
    return _page(sort)


@blueprint.post("/imports/<sort>", endpoint="import_file")
@needs("instrument.edit")
def submit_import(sort: str) -> Answer:
    """Try a file, or write what was tried."""
    chosen = _sort(sort)
    typed = fields("try", "name", "content")
    name, content = _sent(typed)
    if not content:
        return _page(sort, problem=_("Choose a file.")), 422
    try:
        found = chosen.read(content, name)
        with rehearsal() if typed["try"] else transaction() as session:
            outcome = chosen.write(session, found)
    except Unreadable as wrong:
        return _page(sort, problem=wording.cell_sentence(wrong.code, wrong.params)), 422
    except Broken as broken:
        return _page(sort, cells=broken.errors, name=name), 422
    if typed["try"]:
        return _page(sort, outcome=outcome, name=name, content=content)
    flash(_("Written: %(created)d new, %(changed)d changed.", **_counts(outcome)), "success")
    return redirect(url_for("web.import_page", sort=sort), 303)


@blueprint.get("/imports/<sort>/template.<kind>", endpoint="import_template")
@needs("instrument.edit")
def template(sort: str, kind: str) -> Response:
    """Give an empty sheet with a sample row."""
    if kind not in {"csv", "xlsx"}:
        raise NotFound
    heading, sample = _sort(sort).sample()
    return table_file(sort, kind, heading, [sample])


def _sort(name: str) -> Sort:
    found = SORTS.get(name)
    if found is None:
        raise NotFound
    return found


def _sent(typed: Mapping[str, str]) -> tuple[str, bytes]:
    """Give the file that was chosen, or else the one that the page of the trial carried."""
    file = request.files.get("file")
    if file is not None and file.filename:
        return file.filename[:200], file.read()
    try:
        return typed["name"][:200], base64.b64decode(typed["content"], validate=True)
    except binascii.Error:
        return "", b""


def _counts(outcome: Outcome) -> dict[str, int]:
    return {"created": len(outcome.created), "changed": len(outcome.changed)}


def _page(
    sort: str,
    *,
    problem: str = "",
    cells: Sequence[CellError] = (),
    outcome: Outcome | None = None,
    name: str = "",
    content: bytes = b"",
) -> str:
    chosen = _sort(sort)
    return render_template(
        "imports/page.html",
        sort=sort,
        chosen=chosen,
        sorts=[(key, one.title()) for key, one in SORTS.items() if could(actor(), one.action)],
        errors={"file": problem} if problem else {},
        problem=problem,
        cells=[
            (one.row, one.key, one.column, wording.cell_sentence(one.code, one.params))
            for one in cells[:MOST_SHOWN]
        ],
        more=max(len(cells) - MOST_SHOWN, 0),
        outcome=outcome,
        notes=[
            (note.key, wording.note_sentence(note.code, note.params)) for note in outcome.notes[:MOST_SHOWN]
        ]
        if outcome
        else [],
        sort_name=wording.sort_name,
        shown=_shown,
        most=MOST_SHOWN,
        name=name,
        content=base64.b64encode(content).decode() if content and len(content) <= CARRIED else "",
        columns=chosen.sample()[0],
    )


def _shown(value: Any) -> str:
    if value in (None, "", []):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

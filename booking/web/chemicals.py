"""The rows of a form in which chemicals are declared."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from flask import request

from booking import wording
from booking.domain.chemicals import (
    LONGEST_NAME,
    LONGEST_NUMBER,
    LONGEST_UNIT,
    MOST,
    Hazard,
    Substance,
    mistakes,
)
from booking.http.forms import choices
from booking.i18n import gettext as _
from booking.web.forms import Intake, said

ROWS = 3
"""So many empty rows a form offers; more are there once these are filled."""

_PARTS = ("chemical", "cas", "amount", "unit", "permit")
_PART_OF = {"name": "chemical", "quantity": "amount", "permit_number": "permit"}


def field_names(rows: int = MOST) -> tuple[str, ...]:
    """Name the text fields of so many rows."""
    return tuple(f"{part}-{row}" for row in range(1, rows + 1) for part in _PARTS)


def box_names(rows: int = MOST) -> tuple[str, ...]:
    """Name the check boxes of so many rows, which a form may send often."""
    return tuple(f"hazard-{row}" for row in range(1, rows + 1))


def typed(substances: Sequence[Substance], *, most: int = MOST) -> list[dict[str, object]]:
    """Give what one would type to declare these, and a few empty rows below."""
    rows: list[dict[str, object]] = [
        {
            "chemical": one.name,
            "cas": one.cas,
            "amount": "" if one.quantity is None else f"{one.quantity.normalize():f}",
            "unit": one.unit,
            "permit": one.permit_number,
            "hazards": {hazard.value for hazard in one.hazards},
        }
        for one in substances
    ]
    return _with_empty(rows, most)


def retyped(*, most: int = MOST) -> list[dict[str, object]]:
    """Give the rows as the form that was just sent had them, empty ones at the end left out."""
    rows: list[dict[str, object]] = []
    for row in range(1, most + 1):
        found: dict[str, object] = {part: request.form.get(f"{part}-{row}", "") for part in _PARTS}
        found["hazards"] = set(choices(f"hazard-{row}"))
        rows.append(found)
    while rows and not any(rows[-1].values()):
        rows.pop()
    return _with_empty(rows, most)


def _with_empty(rows: list[dict[str, object]], most: int) -> list[dict[str, object]]:
    empty = {**dict.fromkeys(_PARTS, ""), "hazards": set()}
    return [*rows, *(dict(empty) for _ in range(min(ROWS, most - len(rows))))]


def read(form: Mapping[str, str], *, most: int = MOST) -> tuple[list[Substance], dict[str, str]]:
    """Read the rows in which something stands, and a code for each field that makes no sense."""
    found: list[Substance] = []
    rows: list[int] = []
    intake = Intake(form)
    for row in range(1, most + 1):
        boxes = request.values.getlist(f"hazard-{row}")  # a form that only asks has them in its address
        if not boxes and not any(form.get(f"{part}-{row}", "").strip() for part in _PARTS):
            continue
        known = {hazard.value for hazard in Hazard}
        if any(box not in known for box in boxes):
            intake.errors[f"chemical-{row}"] = "unknown"
        rows.append(row)
        found.append(
            Substance(
                name=intake.text(f"chemical-{row}", longest=LONGEST_NAME),
                cas=intake.text(f"cas-{row}", longest=12),
                quantity=_amount(intake, f"amount-{row}"),
                unit=intake.text(f"unit-{row}", longest=LONGEST_UNIT),
                hazards=frozenset(Hazard(box) for box in boxes if box in known),
                permit_number=intake.text(f"permit-{row}", longest=LONGEST_NUMBER),
            )
        )
    for name, code in mistakes(found).items():
        _all, index, part = name.split(".")
        intake.errors.setdefault(f"{_PART_OF.get(part, part)}-{rows[int(index)]}", code)
    return found, intake.errors


def _amount(intake: Intake, name: str) -> Decimal | None:
    raw = intake.raw(name).replace(",", ".")
    if not raw:
        return None
    try:
        return Decimal(raw[:30])
    except InvalidOperation:
        intake.errors[name] = "malformed"
        return None


def shown(rows: Sequence[Mapping[str, object]], errors: Mapping[str, str]) -> dict[str, object]:
    """Give what a page that shows these rows needs of them, in words."""
    return {
        "rows": rows,
        "hazards": hazards(),
        "errors": said(errors, labels()),
        "problems": {name: wording.error_sentence(code) for name, code in errors.items()},
    }


def labels(rows: int = MOST) -> dict[str, str]:
    """Name the fields for the summary of errors."""
    words = {
        "chemical": _("Chemical"),
        "cas": _("CAS number"),
        "amount": _("Quantity"),
        "unit": _("Unit"),
        "permit": _("Permit number"),
    }
    return {
        f"{part}-{row}": _("%(field)s (row %(row)s)", field=word, row=row)
        for row in range(1, rows + 1)
        for part, word in words.items()
    }


def hazards() -> list[tuple[str, str]]:
    """Give every hazard with its name."""
    return [(hazard.value, wording.hazard_name(hazard)) for hazard in Hazard]

"""Chemicals that are brought to a booking: what each is, its hazards, its CAS number's check digit."""

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from booking.domain.rules import Invalid

MOST = 30
LONGEST_NAME = 300
LONGEST_UNIT = 20
LONGEST_NUMBER = 100
LARGEST = Decimal(10) ** 9
PLACES = 4


class Hazard(enum.StrEnum):
    """What makes a substance dangerous, or subject to a permit."""

    HAZARDOUS = "hazardous"
    HIGHLY_TOXIC = "highly_toxic"
    DRUG_PRECURSOR_1 = "drug_precursor_1"
    DRUG_PRECURSOR_2 = "drug_precursor_2"
    DRUG_PRECURSOR_3 = "drug_precursor_3"
    EXPLOSIVE_PRECURSOR = "explosive_precursor"
    HIGH_OCCUPATIONAL_TOXICITY = "high_occupational_toxicity"
    CONTROLLED = "controlled"
    PRESSURE = "pressure"
    RADIOACTIVE = "radioactive"
    BIOLOGICAL = "biological"


@dataclass(frozen=True, slots=True)
class Substance:
    """A substance with its quantity, its hazards and the number of the permit that it came with."""

    name: str
    cas: str = ""
    quantity: Decimal | None = None
    unit: str = ""
    hazards: frozenset[Hazard] = frozenset()
    permit_number: str = ""


_CAS = re.compile(r"([1-9][0-9]{1,6})-([0-9]{2})-([0-9])", re.ASCII)


def is_cas(number: str) -> bool:
    """Tell whether this is a CAS number: of the right form, and with the right check digit."""
    found = _CAS.fullmatch(number)
    if found is None:
        return False
    digits = reversed(found[1] + found[2])
    return sum(place * int(digit) for place, digit in enumerate(digits, start=1)) % 10 == int(found[3])


def mistakes(substances: Sequence[Substance]) -> dict[str, str]:
    """Give a code for each field that makes no sense; fields are named as `chemicals.0.cas`."""
    if len(substances) > MOST:
        return {"chemicals": "too_many"}
    errors: dict[str, str] = {}
    for index, one in enumerate(substances):
        found = {
            "name": _text(one.name, LONGEST_NAME) or (None if one.name else "required"),
            "cas": "wrong_cas" if one.cas and not is_cas(one.cas) else None,
            "quantity": _quantity(one.quantity),
            "unit": _text(one.unit, LONGEST_UNIT)
            or ("required" if one.quantity is not None and not one.unit else None),
            "permit_number": _text(one.permit_number, LONGEST_NUMBER),
        }
        errors |= {f"chemicals.{index}.{name}": code for name, code in found.items() if code}
    return errors


def check(substances: Sequence[Substance]) -> None:
    """Refuse what makes no sense under any rule.

    :raises Invalid: with every field that does not
    """
    errors = mistakes(substances)
    if errors:
        raise Invalid(errors)


def _text(text: str, longest: int) -> str | None:
    if len(text) > longest:
        return "too_long_text"
    return None if text.isprintable() else "control_characters"


def _quantity(quantity: Decimal | None) -> str | None:
    if quantity is None:
        return None
    if not quantity.is_finite():
        return "malformed"
    if quantity <= 0:
        return "too_small"
    if quantity > LARGEST:  # before it is rounded, which numbers of more digits than there are cannot be
        return "too_large"
    return None if round(quantity, PLACES) == quantity else "malformed"


def hazards_of(substances: Iterable[Substance]) -> frozenset[Hazard]:
    """Give every hazard of any of them."""
    return frozenset(hazard for one in substances for hazard in one.hazards)


def told(one: Substance) -> dict[str, str | list[str]]:
    """Give a substance in a form that an event can keep."""
    return {
        "name": one.name,
        "cas": one.cas,
        "quantity": f"{one.quantity.normalize():f}" if one.quantity is not None else "",
        "unit": one.unit,
        "hazards": sorted(one.hazards),
        "permit_number": one.permit_number,
    }


def kept(data: Mapping[str, Any]) -> Substance:
    """Give the substance of which `told` made what an event keeps."""
    return Substance(
        name=data["name"],
        cas=data["cas"],
        quantity=Decimal(data["quantity"]) if data["quantity"] else None,
        unit=data["unit"],
        hazards=frozenset(Hazard(one) for one in data["hazards"]),
        permit_number=data["permit_number"],
    )


def unpermitted(substances: Iterable[Substance], wanting: Iterable[Hazard]) -> list[Substance]:
    """Give those that have one of the hazards which want a permit, but no permit's number."""
    wanted = frozenset(wanting)
    return [one for one in substances if one.hazards & wanted and not one.permit_number.strip()]


def grows(before: Sequence[Substance], after: Sequence[Substance]) -> bool:
    """Tell whether more is brought than was declared: another substance, more of one, or another hazard."""
    return any(not any(_covers(old, new) for old in before) for new in after)


def _covers(old: Substance, new: Substance) -> bool:
    if (old.name, old.cas, old.unit) != (new.name, new.cas, new.unit) or not new.hazards <= old.hazards:
        return False
    if old.permit_number and new.permit_number != old.permit_number:
        return False
    return old.quantity is None or (new.quantity is not None and new.quantity <= old.quantity)

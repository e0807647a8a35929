"""Further steps in the form of a wish: on which instrument or class, how long, how soon after the step before."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from booking.domain.rules import Invalid
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services.round_steps import Stage
from booking.web.forms import Intake
from models import Category, Instrument

NUMBERS = (2, 3, 4)
"""The form offers so many steps, the first of which is the wish itself."""

_EACH = ("what", "hours", "least", "most")
FIELDS = tuple(f"{name}_{number}" for number in NUMBERS for name in _EACH)
USUAL = {f"{name}_{number}": value for number in NUMBERS for name, value in (("least", "0"), ("most", "24"))}

CLASS = "class:"
_MOST_HOURS = 60 * 24


def read(intake: Intake, offered: Sequence[Instrument]) -> list[Stage]:
    """Give the steps that were filled in; what is wrong with them stands in the intake's errors."""
    return [stage for number in NUMBERS if (stage := _read(intake, number, offered)) is not None]


def _read(intake: Intake, number: int, offered: Sequence[Instrument]) -> Stage | None:
    if not intake.raw(f"what_{number}") and not intake.raw(f"hours_{number}"):
        return None
    places = _places(intake.raw(f"what_{number}"), offered)
    if not places:
        intake.errors[f"what_{number}"] = "unknown" if intake.raw(f"what_{number}") else "required"
    minutes = _minutes(intake, f"hours_{number}")
    lag = _minutes(intake, f"least_{number}"), _minutes(intake, f"most_{number}")
    return Stage(minutes, places, lag)


def _places(what: str, offered: Sequence[Instrument]) -> tuple[int, ...]:
    if what.startswith(CLASS):
        code = what.removeprefix(CLASS)
        return tuple(one.id for one in offered if (one.category_code or "").startswith(code))
    return tuple(one.id for one in offered if one.code == what)


def _minutes(intake: Intake, name: str) -> int:
    """Give the minutes of hours that may have a quarter; 0 with an error where they make no sense."""
    try:
        minutes = Decimal(intake.raw(name)) * 60
    except InvalidOperation:
        minutes = Decimal("NaN")
    if not minutes.is_finite() or minutes != int(minutes):
        intake.errors[name] = "malformed" if intake.raw(name) else "required"
    elif not 0 <= minutes <= _MOST_HOURS * 60:
        intake.errors[name] = "out_of_range"
    else:
        return int(minutes)
    return 0


def led(error: Invalid) -> dict[str, str]:
    """Give the fields of the form to which faults of steps belong: `following.0.minutes` is the second step's."""
    fields = {"instruments": "what", "minutes": "hours", "lag": "most"}
    found = {}
    for name, code in error.errors.items():
        whole, _dot, rest = name.partition("following.")
        number, _dot, what = rest.partition(".")
        is_step = not whole and number.isdecimal() and what in fields
        found[f"{fields[what]}_{NUMBERS[int(number)]}" if is_step else name] = code
    return found


def options(offered: Sequence[Instrument], classes: Sequence[Category]) -> list[tuple[str, str]]:
    """Give what a step may be on: any of a class of which there is something, or one instrument."""
    codes = {(one.category_code or "")[:4] for one in offered}
    return [
        ("", _("No such step")),
        *(
            (f"{CLASS}{one.code}", _("Any: %(name)s", name=name_of(one)))
            for one in classes
            if one.code in codes
        ),
        *((one.code, name_of(one)) for one in offered),
    ]


def filled(typed: Mapping[str, str]) -> set[int]:
    """Give the numbers of the steps in which something was typed."""
    return {n for n in NUMBERS if typed.get(f"what_{n}") or typed.get(f"hours_{n}")}


def labels() -> dict[str, str]:
    """Name the fields of steps."""
    words = {
        "what": _("On what"),
        "hours": _("Hours"),
        "least": _("Hours after the step before, at least"),
        "most": _("At most"),
    }
    return {f"{name}_{number}": words[name] for number in NUMBERS for name in _EACH}

"""What an instrument must be able to do, as fields of a form: which ability, at least or at most, and the figure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from booking.domain import needs, vocabulary
from booking.domain.needs import Need
from booking.i18n import either, format_number
from booking.i18n import gettext as _
from booking.web.forms import Intake

FIELDS = ("ability", "limit", "figure")
LIMITS = {"least": needs.AT_LEAST, "most": needs.AT_MOST}
LONGEST_FIGURE = 14
MOST = Decimal("9999999999.999")

Options = list[tuple[str, list[tuple[str, str]]]]


def names(suffix: str = "") -> tuple[str, ...]:
    """Give the names of the fields of one need."""
    return tuple(f"{name}{suffix}" for name in FIELDS)


def options() -> Options:
    """Give all abilities to choose from: those with a figure by the unit, then those without."""

    def word(tag: str) -> str:
        term = vocabulary.ability_name(tag)
        unit = vocabulary.UNITS.get(tag, "")
        name = either(term.zh, term.en)
        return f"{name} ({unit})" if unit else name

    groups = (
        (_("With a figure"), [tag for tag in vocabulary.ABILITIES if tag in vocabulary.UNITS]),
        (_("Others"), [tag for tag in vocabulary.ABILITIES if tag not in vocabulary.UNITS]),
    )
    return [
        (title, sorted(((tag, word(tag)) for tag in tags), key=lambda one: one[1])) for title, tags in groups
    ]


def limits() -> list[tuple[str, str]]:
    """Give the two ways in which a figure may be meant."""
    return [("least", _("at least")), ("most", _("at most"))]


def read(intake: Intake, suffix: str = "") -> str:
    """Read one need from its three fields, nothing where no ability was chosen."""
    ability, limit, figure = names(suffix)
    tag = intake.text(ability, longest=60)
    raw = intake.raw(figure).replace(",", ".")
    if not tag:
        if raw:
            intake.errors[ability] = "required"
        return ""
    if needs.read(tag) is None or needs.read(tag) != Need(tag):
        intake.errors[ability] = "unknown"
        return ""
    if not raw:
        return tag
    wanted = _figure(raw)
    if wanted is None:
        intake.errors[figure] = "malformed"
        return ""
    if intake.raw(limit) not in {"", *LIMITS}:
        intake.errors[limit] = "unknown"
        return ""
    return str(Need(tag, LIMITS[intake.raw(limit) or "least"], wanted))


def _figure(raw: str) -> Decimal | None:
    try:
        figure = Decimal(raw) if len(raw) <= LONGEST_FIGURE else None
    except InvalidOperation:
        return None
    if figure is None or not figure.is_finite() or not 0 <= figure <= MOST:
        return None
    return figure.quantize(Decimal("0.001")) if figure.as_tuple().exponent < -3 else figure  # type: ignore[operator]


def typed(text: str, suffix: str = "") -> dict[str, str]:
    """Give the fields of the first need of a list, as they would have been typed."""
    ability, limit, figure = names(suffix)
    need = next((found for part in needs.parts(text) if (found := needs.read(part))), None)
    if need is None:
        return {ability: "", limit: "", figure: ""}
    ways = {sign: name for name, sign in LIMITS.items()}
    return {
        ability: need.tag,
        limit: ways.get(need.limit, ""),
        figure: "" if need.figure is None else str(need).rpartition("=")[2],
    }


def words(text: str) -> str:
    """Say one need in the reader's language; what is none stands as it was written."""
    need = needs.read(text)
    if need is None:
        return text
    term = vocabulary.ability_name(need.tag)
    name = either(term.zh, term.en)
    if need.figure is None:
        return name
    figure = f"{format_number(need.figure)} {vocabulary.UNITS.get(need.tag, '')}".rstrip()
    if need.limit == needs.AT_LEAST:
        return _("%(name)s at least %(figure)s", name=name, figure=figure)
    return _("%(name)s at most %(figure)s", name=name, figure=figure)


def added(text: str, fields: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Add what was typed to the needs of an address; give them all, and what is wrong with what was typed."""
    intake = Intake(fields)
    more = read(intake)
    return (needs.joined([*needs.parts(text), more]) if more else text), intake.errors

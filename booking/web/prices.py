"""Price lists without code: of an instrument, dated, with what comes and what was; of a whole facility by percent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain import inventory
from booking.domain.pricing import CENT, CustomerClass, Unit
from booking.domain.rules import Invalid
from booking.domain.sheets import Bad
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import ngettext, pgettext
from booking.services import price_lists
from booking.services.price_lists import Change
from booking.web import blueprint
from booking.web.forms import Intake
from booking.web.words import price_unit
from models import Instrument, InstrumentPrice

Answer = str | Redirect | tuple[str, int]

CLASSES: dict[str, tuple[CustomerClass, ...]] = {
    "both": tuple(CustomerClass),
    "internal": (CustomerClass.INTERNAL,),
    "external": (CustomerClass.EXTERNAL,),
}
STEPS = {"0.01": CENT, "1": Decimal(1), "5": Decimal(5), "10": Decimal(10)}
PRICE = ("customer_class", "unit", "amount", "since")
RAISE = ("customer_class", "percent", "step", "since", "try")


@dataclass(frozen=True)
class Line:
    """A dated price as the page shows it."""

    price: InstrumentPrice
    state: str

    @property
    def coming(self) -> bool:
        """Tell whether it has not begun."""
        return self.state == "coming"


@blueprint.get("/instruments/<code>/prices", endpoint="instrument_prices")
@needs("instrument.edit")
def show_of_instrument(code: str) -> Answer:
    """Show the price list of an instrument: what counts, what comes, what was."""
    return _instrument_page(code)


@blueprint.post("/instruments/<code>/prices", endpoint="set_price")
@needs("instrument.edit")
def set_price(code: str) -> Answer:
    """Set what a unit costs from a day on."""
    typed = fields(*PRICE)
    intake = Intake(typed)
    unit = intake.choice("unit", Unit)
    since = intake.day("since")
    amount, wrong = _amount(typed["amount"])
    problems = ({"amount": wrong} if wrong else {}) | _sentences(intake.errors)
    if typed["customer_class"] not in CLASSES:
        problems["customer_class"] = wording.error_sentence("unknown")
    if problems or unit is None or since is None:
        return _instrument_page(code, typed, problems)
    try:
        with transaction() as session:
            price_lists.put(
                session,
                actor=actor(),
                code=code,
                customer_classes=CLASSES[typed["customer_class"]],
                unit=unit,
                amount=amount,
                since=since,
                now=utc_now(),
            )
    except Invalid as error:
        return _instrument_page(code, typed, _sentences(error.errors))
    flash(_("The price is set. What counted before ends on the day on which it begins."), "success")
    return redirect(url_for("web.instrument_prices", code=code), 303)


@blueprint.post(
    "/instruments/<code>/prices/<int(max=9223372036854775807):price_id>/removal", endpoint="strike_price"
)
@needs("instrument.edit")
def strike(code: str, price_id: int) -> Answer:
    """Take back a price that has not begun."""
    fields()
    with transaction() as session:
        price_lists.strike(session, actor=actor(), code=code, price_id=price_id, now=utc_now())
    flash(_("The price is taken back; the one before it counts on."), "success")
    return redirect(url_for("web.instrument_prices", code=code), 303)


@blueprint.get("/facilities/<code>/prices", endpoint="facility_prices")
@needs("instrument.edit")
def show_of_facility(code: str) -> Answer:
    """Show the price list of a facility."""
    return _facility_page(code)


@blueprint.post("/facilities/<code>/prices", endpoint="raise_prices")
@needs("instrument.edit")
def raise_prices(code: str) -> Answer:
    """Change all prices of a facility by a percentage, or only show what would become of them."""
    typed = fields(*RAISE)
    intake = Intake(typed)
    since, percent = intake.day("since"), _percent(intake)
    problems = _sentences(intake.errors)
    for name, known in (("customer_class", CLASSES), ("step", STEPS)):
        if typed[name] not in known:
            problems[name] = wording.error_sentence("unknown")
    if problems or since is None or percent is None:
        return _facility_page(code, typed, problems)
    given: dict[str, Any] = {
        "actor": actor(),
        "code": code,
        "percent": percent,
        "step": STEPS[typed["step"]],
        "customer_classes": CLASSES[typed["customer_class"]],
        "since": since,
        "now": utc_now(),
    }
    try:
        if typed["try"]:
            with reading() as session:
                found = price_lists.proposed(session, **given)
            return _facility_page(code, typed, found=found)
        with transaction() as session:
            count = len(price_lists.raise_all(session, **given))
    except Invalid as error:
        return _facility_page(code, typed, _sentences(error.errors))
    words = ngettext(
        "%(num)d price is changed from that day on.",
        "%(num)d prices are changed from that day on.",
        count,
        num=count,
    )
    flash(words, "success")
    return redirect(url_for("web.facility_prices", code=code), 303)


def _amount(raw: str) -> tuple[Decimal | None, str]:
    """Read yuan; nothing is negotiated. The second says what is wrong with it."""
    try:
        found: Decimal | None = inventory.check("price_internal", raw.strip())
    except Bad as bad:
        return None, wording.cell_sentence(bad.code, bad.params)
    return found, ""


def _percent(intake: Intake) -> Decimal | None:
    raw = intake.raw("percent").rstrip("%％ ").replace(",", ".").replace("\u2212", "-")
    try:
        found = inventory.percentage(raw)
    except Bad as bad:
        intake.errors["percent"] = "required" if bad.code == "required" else "malformed"
        return None
    return found


def _sentences(errors: Mapping[str, str]) -> dict[str, str]:
    return {name: wording.error_sentence(code) for name, code in errors.items()}


def _instrument_page(
    code: str, typed: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> Answer:
    with reading() as session:
        row = price_lists.of_instrument(session, actor=actor(), code=code)
        today = price_lists.today_at(row.facility, utc_now())
    lines = _lines(row, today)
    page = render_template(
        "instruments/prices.html",
        instrument=row,
        lines=[line for line in lines if line.state != "over"],
        over=[line for line in lines if line.state == "over"],
        typed=typed or {"customer_class": "both", "unit": _usual_unit(row).value, "since": today.isoformat()},
        problems=problems or {},
        errors=_summary(problems or {}),
        labels=labels(),
        classes=_classes(),
        units=[(unit.value, price_unit(unit)) for unit in Unit],
        today=today,
    )
    return (page, 422) if problems else page


def _lines(row: Instrument, today: date) -> list[Line]:
    found = [Line(price, _state(price, today)) for price in row.prices]
    order = list(Unit)
    return sorted(
        found,
        key=lambda line: (order.index(line.price.unit), line.price.customer_class, line.price.valid_from),
    )


def _state(price: InstrumentPrice, today: date) -> str:
    if price.valid_from > today:
        return "coming"
    return "over" if price.valid_to is not None and price.valid_to <= today else "now"


def _usual_unit(row: Instrument) -> Unit:
    return next((price.unit for price in row.prices if price.unit is not Unit.SAMPLE), Unit.HOUR)


def _facility_page(
    code: str,
    typed: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
    *,
    found: Sequence[Change] | None = None,
) -> Answer:
    with reading() as session:
        facility, rows = price_lists.of_facility(session, actor=actor(), code=code)
        today = price_lists.today_at(facility, utc_now())
    page = render_template(
        "facilities/prices.html",
        facility=facility,
        rows=[(row, [line for line in _lines(row, today) if line.state != "over"]) for row in rows],
        typed=typed or {"customer_class": "both", "percent": "", "step": "1", "since": today.isoformat()},
        problems=problems or {},
        errors=_summary(problems or {}),
        labels=labels(),
        classes=_classes(),
        steps=[
            ("0.01", _("to the cent")),
            *((step, _("to %(step)s yuan", step=step)) for step in ("1", "5", "10")),
        ],
        found=found,
        today=today,
    )
    return (page, 422) if problems else page


def _summary(problems: Mapping[str, str]) -> dict[str, str]:
    words = labels()
    return {
        name: _("%(field)s: %(problem)s", field=words.get(name, name), problem=sentence)
        for name, sentence in problems.items()
    }


def _classes() -> list[tuple[str, str]]:
    return [
        ("both", _("Everybody")),
        ("internal", _("The operator's own people and partners")),
        ("external", _("Everybody else")),
    ]


def labels() -> dict[str, str]:
    """Name the fields of both forms."""
    return {
        "customer_class": pgettext("of a price", "For whom"),
        "unit": pgettext("of a price", "For what"),
        "amount": _("Price in yuan"),
        "since": _("From"),
        "percent": _("By how many percent"),
        "step": _("Rounded"),
    }


def history_labels() -> dict[str, str]:
    """Name the prices that histories tell of."""
    who = {CustomerClass.INTERNAL: _("Inside"), CustomerClass.EXTERNAL: _("Outside")}
    return {
        f"{customer.value}.{unit.value}": _("%(who)s, %(unit)s", who=words, unit=price_unit(unit))
        for customer, words in who.items()
        for unit in Unit
    }

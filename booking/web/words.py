"""Words for what the catalogue keeps as short codes; a code that nobody has named is shown as it stands."""

from collections.abc import Mapping
from decimal import Decimal

from flask import Blueprint
from flask.blueprints import BlueprintSetupState

from booking import plan_words
from booking.domain import vocabulary
from booking.domain.pricing import CustomerClass, Unit
from booking.domain.vocabulary import Term
from booking.i18n import either, format_number
from booking.i18n import gettext as _
from booking.services.catalogue import Facet
from booking.web import abilities
from booking.web.week import Sort, Why


def register(blueprint: Blueprint) -> None:
    """Give the words to every template, macros included."""

    def _give(state: BlueprintSetupState) -> None:
        state.app.jinja_env.globals.update(
            sort_of_instrument=sort_of_instrument,
            operator_need=operator_need,
            way_of_use=way_of_use,
            hazard=hazard,
            capability=capability,
            ability_options=abilities.options,
            ability_limits=abilities.limits,
            region=region,
            price_unit=price_unit,
            customer_class=customer_class,
            weekday_name=weekday_name,
            clock=clock,
            sort_name=sort_name,
            facet_name=facet_name,
            why_barred=why_barred,
            window_words=plan_words.window,
            change_name=change_name,
        )

    blueprint.record_once(_give)


def sort_of_instrument(kind: str) -> str:
    """Name the kind of a bookable thing."""
    return _word(vocabulary.KINDS, kind)


def facet_name(facet: Facet) -> str:
    """Name a facet in the reader's language, or in the other one if it lacks it."""
    return either(facet.label_zh, facet.label_en) or facet.key


def operator_need(need: str) -> str:
    """Say when the facility's operator is there."""
    return _word(vocabulary.OPERATOR_NEEDS, need)


def way_of_use(mode: str) -> str:
    """Name a way in which an instrument can be used."""
    return _word(vocabulary.MODES, mode)


def hazard(code: str) -> str:
    """Name a danger."""
    return _word(vocabulary.HAZARDS, code)


def capability(tag: str, value: Decimal | None = None, unit: str = "") -> str:
    """Say what an instrument can do, with its figure where it has one."""
    known = _word(vocabulary.ABILITIES, tag)
    return known if value is None else f"{known} {format_number(value.normalize())} {unit}".rstrip()


def region(code: str) -> str:
    """Name a province or city; nothing for a code that is not known."""
    return _word(vocabulary.REGIONS, code) if code in vocabulary.REGIONS else ""


def price_unit(unit: Unit) -> str:
    """Say what a price is for."""
    return {
        Unit.HOUR: _("per hour"),
        Unit.CHANNEL_HOUR: _("per channel and hour"),
        Unit.SAMPLE: _("per sample"),
    }[unit]


def customer_class(customer: CustomerClass) -> str:
    """Say whom a price is for."""
    return {
        CustomerClass.INTERNAL: _("The operator's own people and partners"),
        CustomerClass.EXTERNAL: _("Everybody else"),
    }[customer]


def weekday_name(weekday: int) -> str:
    """Name a day of the week; Monday is 0."""
    return (
        _("Monday"),
        _("Tuesday"),
        _("Wednesday"),
        _("Thursday"),
        _("Friday"),
        _("Saturday"),
        _("Sunday"),
    )[weekday]


def sort_name(sort: Sort) -> str:
    """Name what a stretch of time is to the reader."""
    return {
        Sort.FREE: _("Free"),
        Sort.TAKEN: _("Taken"),
        Sort.MINE: _("Mine"),
        Sort.PENDING: _("Awaiting approval"),
        Sort.MAINTENANCE: _("Maintenance"),
        Sort.CLOSED: _("Closed"),
        Sort.BUFFER: _("Set-up and clean-up"),
        Sort.BARRED: _("Not bookable"),
        Sort.PAST: _("Past"),
    }[sort]


def why_barred(why: Why) -> str:
    """Say why free time cannot be booked."""
    return {
        Why.NOTICE: _("Too soon"),
        Why.HORIZON: _("Too far ahead"),
        Why.SHORT: _("Too short"),
    }[why]


def change_name(kind: str) -> str:
    """Say what was done to a facility or an instrument."""
    return {
        "facility.added": _("Facility made"),
        "facility.changed": _("Facility changed"),
        "facility.withdrawn": _("Facility withdrawn"),
        "facility.reopened": _("Facility opened again"),
        "instrument.added": _("Instrument made"),
        "instrument.changed": _("Instrument changed"),
        "instruments.imported": _("Read from a file"),
        "prices.changed": _("Prices changed"),
        "prices.raised": _("All prices changed by a percentage"),
        "file.added": _("Photo or document added"),
        "file.changed": _("Photo or document changed"),
        "file.removed": _("Photo or document removed"),
        "files.sorted": _("Photos and documents put in order"),
        "permit.added": _("Permit added"),
        "permit.ended": _("Permit ended"),
        "permit.prolonged": _("Last day of a permit moved later"),
        "permit.struck": _("Permit struck"),
    }.get(kind, kind)


def clock(minute: int) -> str:
    """Write a minute of the day as a clock shows it, `08:30`; the last is `24:00`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _word(words: Mapping[str, Term], code: str) -> str:
    term = words.get(str(code))
    if term is None:
        return str(code).replace("_", " ")
    return either(term.zh, term.en)

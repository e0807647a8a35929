"""Figures of use as pages show them: shares in percent, hours, and what a chart draws."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import babel.numbers
from flask import Blueprint
from flask.blueprints import BlueprintSetupState

from booking import i18n
from booking.domain.utilisation import HOUR, Hours
from booking.i18n import format_date, format_number
from booking.i18n import gettext as _
from booking.services.desks import Figures


def register(blueprint: Blueprint) -> None:
    """Give templates `percent` and `hours` as filters, and `trend_chart`."""

    def _give(state: BlueprintSetupState) -> None:
        state.app.jinja_env.filters.update(percent=percent, hours=hours)
        state.app.jinja_env.globals.update(trend_chart=trend_chart)

    blueprint.record_once(_give)


def percent(share: float | None) -> str:
    """Say a share in percent; a dash where there is none."""
    if share is None:
        return "–"
    if 0 < share < 0.1:
        return babel.numbers.format_percent(share, format="#,##0.0%", locale=i18n.current_locale())
    return babel.numbers.format_percent(share, locale=i18n.current_locale())


def hours(seconds: float | None) -> str:
    """Say seconds in hours with one decimal; a dash where there are none to say."""
    return "–" if seconds is None else format_number(round(seconds / HOUR, 1))


def trend_chart(found: Figures) -> dict[str, Any]:
    """Give what the chart of weeks draws: shares of the open time in percent, a value for each stretch."""
    trend, aim = found.trend, found.aim
    series = [
        {"name": _("Booked"), "look": "bar", "values": [_points(one.utilisation) for one in trend]},
        {"name": _("Used"), "look": "line", "values": [_points(used_of_open(one)) for one in trend]},
    ]
    if any(one is not None for one in aim):
        series.append({"name": _("Target"), "look": "target", "values": [_points(one) for one in aim]})
    return {"labels": [format_date(day, "UTC", "day") for day in found.starts], "series": series}


def used_of_open(one: Hours) -> float | None:
    """Give used ÷ open."""
    return one.used / one.open if one.open else None


def _points(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 1)


def period_words(found: Figures) -> str:
    """Say the first and the last day of figures."""
    last = found.first + timedelta(days=found.days - 1)
    return _("%(first)s – %(last)s", first=format_date(found.first), last=format_date(last))


def ends_of(found: Figures) -> Sequence[date]:
    """Give the last day of each stretch."""
    end = found.first + timedelta(days=found.days)
    return [day - timedelta(days=1) for day in (*found.starts[1:], end)]

"""How instruments were used: of one, and of a facility."""

from typing import Any

from booking.api.base import Blueprint, problems
from booking.api.schemas.utilisation import UtilisationIn, UtilisationOut
from booking.db import reading
from booking.domain.utilisation import HOUR, Hours
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import desks, facilities
from booking.services.desks import Figures

blp = Blueprint("api-utilisation", __name__, description="How much of their open time instruments were used.")


@blp.get("/instruments/<code:instrument_id>/utilisation")
@needs("utilisation.read")
@blp.arguments(UtilisationIn, location="query")
@blp.response(200, UtilisationOut)
@problems(404)
def of_instrument(wanted: dict[str, Any], instrument_id: str) -> dict[str, Any]:
    """Tell how an instrument was used

    For staff of its facility and officers of its networks. Days are those of the facility's zone.
    """
    with reading() as session:
        return _told(
            desks.of_instrument(session, actor=actor(), code=instrument_id, **_days(wanted), now=utc_now())
        )


@blp.get("/facilities/<code:facility_id>/utilisation")
@needs("utilisation.read")
@blp.arguments(UtilisationIn, location="query")
@blp.response(200, UtilisationOut)
@problems(404)
def of_facility(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Tell how the instruments of a facility were used

    For its staff and officers of its networks. Days are those of the facility's zone.
    """
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        return _told(
            desks.of_facility(session, actor=actor(), facility_id=place.id, **_days(wanted), now=utc_now())
        )


def _days(wanted: dict[str, Any]) -> dict[str, Any]:
    return {"first": wanted["first"], "days": (wanted["last"] - wanted["first"]).days + 1}


def _told(found: Figures) -> dict[str, Any]:
    weeks = zip(found.starts, found.trend, found.aim, strict=True)
    return _sums(found.whole, found.target) | {
        "weeks": [{"first_day": day, **_sums(one, aim)} for day, one, aim in weeks],
        "instruments": [
            {"instrument_id": row.place.code, **_sums(row.whole, row.target)} for row in found.rows
        ],
    }


def _sums(found: Hours, target: float | None) -> dict[str, Any]:
    return {
        "open_hours": found.open / HOUR,
        "booked_hours": found.booked / HOUR,
        "used_hours": found.used / HOUR,
        "down_hours": found.down / HOUR,
        "missed_hours": found.lost / HOUR,
        "no_shows": found.missed,
        "utilisation": found.utilisation,
        "used_share": found.use,
        "downtime": found.downtime,
        "no_show_share": found.no_show,
        "target": target,
    }

"""Favourites: the instruments that a person keeps at hand."""

from typing import Any

from booking.api.base import Blueprint, problems
from booking.api.schemas.favourites import FavouritesOut
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import favourites

blp = Blueprint("api-favourites", __name__, description="Instruments that one keeps at hand.")


@blp.get("/favourites")
@needs("favourite.keep")
@blp.response(200, FavouritesOut)
def listing() -> dict[str, Any]:
    """List one's favourites

    The one kept last comes first.
    """
    with reading() as session:
        found = favourites.listing(session, actor=actor())
    return {"items": found, "total": len(found)}


@blp.put("/favourites/<code:instrument_id>")
@needs("favourite.keep")
@blp.response(204)
@problems(404)
def add(instrument_id: str) -> None:
    """Keep an instrument at hand"""
    with transaction() as session:
        favourites.add(session, actor=actor(), code=instrument_id, now=utc_now())


@blp.route("/favourites/<code:instrument_id>", methods=["DELETE"])
@needs("favourite.keep")
@blp.response(204)
@problems(404)
def drop(instrument_id: str) -> None:
    """Keep an instrument at hand no longer"""
    with transaction() as session:
        favourites.drop(session, actor=actor(), code=instrument_id)

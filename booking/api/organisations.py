"""Organisations, as administrators keep them: where each is registered decides which promises of rounds are to it."""

from typing import Any

from booking.api.base import Blueprint, problems
from booking.api.schemas.organisations import OrganisationOut, OrganisationsOut, RegionIn
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import organisations
from models import Organisation

blp = Blueprint("api-organisations", __name__, description="Legal units, and where they are registered.")


@blp.get("/organisations")
@needs("organisation.keep")
@blp.response(200, OrganisationsOut)
def listing() -> dict[str, Any]:
    """List organisations"""
    with reading() as session:
        found = [_told(one) for one in organisations.listing(session)]
    return {"items": found, "total": len(found)}


@blp.route("/organisations/<code>", methods=["PATCH"])
@needs("organisation.keep")
@blp.arguments(RegionIn)
@blp.response(200, OrganisationOut)
@problems(404)
def change(wanted: dict[str, Any], code: str) -> dict[str, Any]:
    """Say where an organisation is registered"""
    with transaction() as session:
        return _told(
            organisations.register_in(
                session, actor=actor(), code=code, region_code=wanted["region"], now=utc_now()
            )
        )


def _told(one: Organisation) -> dict[str, Any]:
    return {
        "code": one.code,
        "name_zh": one.name_zh,
        "name_en": one.name_en,
        "kind": one.kind,
        "region": organisations.region_of(one),
    }

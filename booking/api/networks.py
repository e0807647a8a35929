"""Networks, as their officers keep them: what they look like, and which facilities are in them."""

from typing import Any

from flask import Response, request

from booking.api.base import Blueprint, problems
from booking.api.schemas.networks import LookIn, LookOut
from booking.db import reading, transaction
from booking.http import site
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import networks
from booking.services.networks import Brand

blp = Blueprint("api-networks", __name__, description="What networks look like, and who is in them.")

_PICTURE = {
    "required": True,
    "description": "A PNG, JPEG or WebP picture of at most 500 kB.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


@blp.get("/networks/<code:network_id>")
@needs("catalogue.read")
@blp.response(200, LookOut)
@problems(404)
def one(network_id: str) -> Brand:
    """Look at a network"""
    return _look(network_id)


@blp.route("/networks/<code:network_id>", methods=["PATCH"])
@needs("network.keep")
@blp.arguments(LookIn)
@blp.response(200, LookOut)
@problems(404)
def change(wanted: dict[str, Any], network_id: str) -> Brand:
    """Change what a network looks like

    For its officers.
    """
    with transaction() as session:
        networks.dress(session, actor=actor(), code=network_id, wanted=wanted, now=utc_now())
    site.forget()
    return _look(network_id)


@blp.put("/networks/<code:network_id>/logo")
@needs("network.keep")
@blp.response(200, LookOut)
@blp.doc(requestBody=_PICTURE)
@problems(404)
def set_logo(network_id: str) -> Brand:
    """Give a network a logo"""
    with transaction() as session:
        content = request.get_data(cache=False)
        networks.set_logo(session, actor=actor(), code=network_id, content=content, now=utc_now())
    site.forget()
    return _look(network_id)


@blp.delete("/networks/<code:network_id>/logo")
@needs("network.keep")
@blp.response(204)
@problems(404)
def drop_logo(network_id: str) -> Response:
    """Take the logo of a network away"""
    with transaction() as session:
        networks.drop_logo(session, actor=actor(), code=network_id, now=utc_now())
    site.forget()
    return Response(status=204)


@blp.put("/networks/<code:network_id>/facilities/<code:facility_id>")
@needs("network.keep")
@blp.response(204)
@problems(404)
def take_in(network_id: str, facility_id: str) -> Response:
    """Take a facility into a network

    Officers have rights over the facilities of their network; so it takes an administrator, or an officer who
    manages the facility too.
    """
    with transaction() as session:
        networks.add_facility(session, actor=actor(), code=network_id, facility=facility_id, now=utc_now())
    site.forget()
    return Response(status=204)


@blp.delete("/networks/<code:network_id>/facilities/<code:facility_id>")
@needs("network.keep")
@blp.response(204)
@problems(404)
def let_leave(network_id: str, facility_id: str) -> Response:
    """Let a facility leave a network"""
    with transaction() as session:
        networks.remove_facility(session, actor=actor(), code=network_id, facility=facility_id, now=utc_now())
    site.forget()
    return Response(status=204)


def _look(code: str) -> Brand:
    with reading() as session:
        return networks.brand(session, code=code)

"""Who one is."""

from typing import Any

from booking.api.base import Blueprint
from booking.api.schemas.accounts import MeOut
from booking.db import reading
from booking.http.guard import needs
from booking.http.identity import actor
from booking.services import facilities, organisations, projects

blp = Blueprint("api-accounts", __name__, description="Who one is.")


@blp.get("/me")
@needs("booking.list")
@blp.response(200, MeOut)
def me() -> dict[str, Any]:
    """Read who one is

    With the organisations one belongs to, the projects for which one may book, the facilities at whose
    desk one works, and the scopes of the token.
    """
    who = actor()
    with reading() as session:
        desks = facilities.managed(session, actor=who) if who.operates or who.manages else []
        return {
            "id": who.person_id,
            "name": who.name,
            "email": who.email,
            "locale": who.locale,
            "administrator": who.administrator,
            "organisations": organisations.of_actor(session, actor=who),
            "projects": projects.of_actor(session, actor=who),
            "facilities": [
                {
                    "code": desk.code,
                    "name_zh": desk.name_zh,
                    "name_en": desk.name_en,
                    "manages": desk.id in who.manages,
                }
                for desk in desks
                if desk.id in who.operates | who.manages
            ],
            "scopes": None if who.scopes is None else sorted(who.scopes),
        }

"""Organisations over the API and on the administrator's page: where each is registered."""

from sqlalchemy import select

from models import Event, Organisation
from tests.api.conftest import World


def test_an_administrator_says_where_an_organisation_is_registered(world_on_both: World):
    world = world_on_both
    with world.session() as session:
        session.scalars(
            select(Organisation).where(Organisation.code == "CO")
        ).one().uscc = "91440300MA5KXXXXXX"
    listed = {one["id"]: one for one in world.get("/organisations", who="root").json["items"]}
    assert (listed["CO"]["kind"], listed["CO"]["region"], listed["UNI"]["region"]) == (
        "enterprise",
        "440300",
        "",
    )
    told = world.patch("/organisations/CO", json={"region": "450100"}, who="root")
    assert (told.status_code, told.json["region"]) == (200, "450100")
    assert world.patch("/organisations/CO", json={"region": "45"}, who="root").json["errors"] == {
        "region": "malformed"
    }
    assert world.patch("/organisations/NOBODY", json={"region": ""}, who="root").status_code == 404
    for who in ("cleo", "tam"):
        assert world.patch("/organisations/CO", json={"region": "440300"}, who=who).status_code == 403
    assert world.patch("/organisations/CO", json={"region": ""}, who="root").json["region"] == "440300"
    with world.session() as session:
        told = session.scalars(
            select(Event).where(Event.kind == "organisation.changed").order_by(Event.id)
        ).all()
        assert [event.data["changes"]["region_code"] for event in told] == [["", "450100"], ["450100", ""]]

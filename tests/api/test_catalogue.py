"""The catalogue, facilities and networks over the API."""

import pytest

from tests.api.conftest import World


@pytest.mark.parametrize("who", [None, "cleo", "ada"])
def test_everybody_searches_what_is_published(world_on_both: World, who):
    answer = world_on_both.get("/instruments", who=who)
    assert answer.status_code == 200
    assert {one["id"] for one in answer.json["items"]} == {"SEM", "SEM-2", "TANK", "XRD", "OVEN"}
    assert (answer.json["total"], answer.json["next"]) == (5, None)
    assert {"items", "total", "next", "facets"} == set(answer.json)


def test_staff_see_what_is_not_published_yet(world: World):
    for who, status in (("tam", 200), ("root", 200), ("nora", 200), ("ada", 404), (None, 404)):
        assert world.get("/instruments/SECRET", who=who).status_code == status, who
        found = {one["id"] for one in world.get("/instruments", who=who).json["items"]}
        assert ("SECRET" in found) is (status == 200), who


def test_pages_follow_each_other(world: World):
    seen, url = [], "/instruments?page_size=2"
    while url:
        page = world.get(url.removeprefix("/api/v1")).json
        seen += [one["id"] for one in page["items"]]
        url = page["next"]
        assert page["total"] == 5
    assert len(seen) == len(set(seen)) == 5
    assert world.get("/instruments?page=99").json["items"] == []


def test_the_next_page_keeps_the_question(world: World):
    page = world.get("/instruments", query_string={"facility": "LAB", "q": "扫描", "page_size": 1}).json
    assert page["next"] is None or "facility=LAB" in page["next"]
    page = world.get("/instruments", query_string={"facility": "LAB", "page_size": 1}).json
    assert page["next"].startswith("/api/v1/instruments?")
    assert "facility=LAB" in page["next"]
    assert "page=2" in page["next"]


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ({"q": "扫描 二"}, {"SEM-2"}),
        ({"q": "microscope"}, {"SEM", "SEM-2"}),
        ({"facility": "YARD"}, {"OVEN"}),
        ({"network": "NET", "q": "oven"}, {"OVEN"}),
        ({"network": "NONE"}, set()),
        ({"kind": "space"}, set()),
        ({"category": "99"}, set()),
        ({"capability": "none"}, set()),
        ({"q": "", "facility": "YARD", "network": "", "category": "", "capability": ""}, {"OVEN"}),
        ({"q": "%"}, set()),
        ({"q": "a' or 1=1 --"}, set()),
    ],
)
def test_the_catalogue_is_filtered(world: World, query, codes):
    answer = world.get("/instruments", query_string=query)
    assert answer.status_code == 200
    assert {one["id"] for one in answer.json["items"]} == codes


def test_facets_count_what_would_be_found(world: World):
    facets = world.get("/instruments").json["facets"]
    assert {one["key"]: one["count"] for one in facets["facility"]} == {"LAB": 4, "YARD": 1}
    assert all(
        set(one) == {"key", "label_zh", "label_en", "count"} for found in facets.values() for one in found
    )


def test_an_instrument_has_rules_and_prices(world_on_both: World):
    one = world_on_both.get("/instruments/SEM", who=None).json
    assert (one["id"], one["name_zh"], one["kind"], one["units"]) == ("SEM", "扫描电子显微镜", "device", 1)
    assert one["facility"]["id"] == "LAB"
    assert one["facility"]["zone"] == "Asia/Shanghai"
    assert [network["id"] for network in one["networks"]] == ["NET"]
    assert one["rules"]["step_minutes"] == 15
    assert one["rules"]["longest_minutes"] is None
    assert {(price["customer_class"], price["amount"], price["currency"]) for price in one["prices"]} == {
        ("internal", "300.00", "CNY"),
        ("external", "600.00", "CNY"),
    }


def test_an_unknown_instrument_is_not_found(world: World):
    day = "from=2026-01-05T00:00:00Z&to=2026-01-06T00:00:00Z"
    for path in ("/instruments/NONE", "/instruments/sem", f"/instruments/NONE/free?{day}"):
        assert world.get(path).status_code == 404, path


def test_facilities_and_networks_are_open_to_all(world: World):
    found = world.get("/facilities", who=None).json
    assert (found["total"], [one["id"] for one in found["items"]]) == (2, ["LAB", "YARD"])
    one = world.get("/facilities/LAB", who=None).json
    assert one == found["items"][0]
    assert one["organisation"]["kind"] == "university"
    assert world.get("/facilities/NONE", who=None).status_code == 404
    networks = world.get("/networks", who=None).json
    assert (networks["total"], networks["items"][0]["id"]) == (1, "NET")


def test_one_reads_who_one_is(world: World):
    ada = world.get("/me").json
    assert (ada["id"], ada["name"], ada["email"]) == (world.ids["ada"], "Ada", "ada@example.org")
    assert [one["id"] for one in ada["organisations"]] == ["UNI"]
    assert [(one["id"], one["name"]) for one in ada["projects"]] == [(world.ids["project"], "Membranes")]
    assert (ada["facilities"], ada["administrator"]) == ([], False)
    assert ada["scopes"] == ["book", "manage", "read"]
    assert world.get("/me", who="reader").json["scopes"] == ["read"]
    tam = world.get("/me", who="tam").json
    assert [(one["id"], one["manages"]) for one in tam["facilities"]] == [("LAB", True)]
    root = world.get("/me", who="root").json
    assert (root["administrator"], root["facilities"]) == (True, [])
    assert world.get("/me", who=None).status_code == 401

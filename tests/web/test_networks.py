"""Pages in the look of the network whose host was asked, and announcements on them."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from booking import db
from booking.domain.access import Role
from booking.domain.announcements import Audience, Level, Shown
from booking.http import site
from booking.services import announcements
from models import Facility, Membership, Network
from tests import cast
from tests.factories import make_network
from tests.web import browsing
from tests.web.lab import Lab, text_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def lab(app: Flask) -> Lab:
    lab = Lab(app)
    with db.transaction() as session:
        network = make_network(session, session.get_one(Facility, lab.facilities["LAB"]), code="NET")
        nora = cast.nora(session, network)
        nora.locale = "en"
        lab.people["nora"] = nora.id
    return lab


def test_an_officer_changes_the_look_and_its_host_shows_it(lab):
    page = lab.get("nora", "/networks/NET/settings").text
    assert 'name="host"' not in page
    fields = {"name_zh": "东莞共享网", "name_en": "Dongguan network", "short_en": "DG share"}
    tried = lab.send("nora", "/networks/NET/settings", **fields, accent="#ffe066", **{"try": "1"})
    assert "too pale" in text_of(tried.text)
    assert 'fill="#ffe066"' not in tried.text.split("</figure>")[0]
    kept = lab.send(
        "nora", "/networks/NET/settings", **fields, accent="#ffe066", contact="0769", footer_en="One foot"
    )
    assert kept.status_code == 303
    pictured = lab.client("nora").post(
        "/networks/NET/logo",
        data={"csrf_token": browsing.csrf_token(lab.client("nora")), "file": (io.BytesIO(PNG), "x.svg")},
    )
    assert pictured.status_code == 303
    # Only an administrator leads a host to it.
    sent = lab.send("nora", "/networks/NET/settings", **fields, host="evil.example.org")
    with db.reading() as session:
        assert session.query(Network).filter_by(code="NET").one().host is None, sent.status_code
    lab.send(
        "root",
        "/networks/NET/settings",
        **fields,
        accent="#ffe066",
        contact="0769",
        footer_en="One foot",
        host="share.example.org",
    )
    visitor = lab.app.test_client()
    own = visitor.get("/", headers={"Host": "share.example.org:8443", "Accept-Language": "en"}).text
    assert "DG share" in own.split("</header>")[0]
    assert "One foot" in own.rsplit("<footer", 1)[1]
    sheet = re.search(r'href="(/accents/ffe066\.css)"', own)[1]
    assert "--accent:" in visitor.get(sheet).text
    picture = re.search(r'src="(/networks/NET/logo\?v=\w+)"', own)[1]
    answer = visitor.get(picture)
    assert (answer.mimetype, answer.data) == ("image/png", PNG)
    assert "immutable" in answer.headers["Cache-Control"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert visitor.get("/accents/0b5a7d}.css").status_code == 404
    for other in ("localhost", "127.0.0.1:8000"):
        plain = visitor.get("/", headers={"Host": other, "Accept-Language": "en"}).text
        assert "DG share" not in plain
    assert lab.get("ada", "/networks/NET/settings").status_code == 403


def announce(text, shown=Shown.EVERYWHERE, audience=Audience.EVERYONE, **where):
    now = datetime.now(UTC)
    with db.transaction() as session:
        root = cast.actor_of(session, cast.root(session))
        draft = announcements.Draft(
            "", text, Level.WARNING, shown, audience, now - timedelta(minutes=1), now + timedelta(days=1)
        )
        row = announcements.make(session, actor=root, draft=draft, now=now, **where)
    site.forget()
    return row


def banners(page: str) -> list[str]:
    found = re.findall(r'<li class="notice \w+" data-announcement.*?</li>', page, re.DOTALL)
    return [re.search(r"</span> (.*?)</p>", one)[1] for one in found]


def test_banners_stand_where_they_should(lab):
    announce("Everywhere")
    announce("Of the laboratory", Shown.PLACE, facility="LAB")
    announce("For staff <b>", Shown.PLACE, Audience.STAFF, facility="LAB")
    visitor = lab.app.test_client()
    english = {"Accept-Language": "en"}
    assert banners(visitor.get("/instruments", headers=english).text) == ["Everywhere"]
    assert sorted(banners(visitor.get("/instruments/SEM", headers=english).text)) == [
        "Everywhere",
        "Of the laboratory",
    ]
    assert banners(visitor.get("/instruments/FAR-1", headers=english).text) == ["Everywhere"]
    assert "For staff &lt;b&gt;" in banners(lab.get("tam", "/facilities/LAB").text)
    assert "For staff" not in lab.get("ada", "/facilities/LAB").text


def test_one_puts_a_banner_away_for_oneself(lab):
    row = announce("Power cut")
    assert banners(lab.get("ada", "/instruments").text) == ["Power cut"]
    away = f"/announcements/{row.id}/dismissal"
    answer = lab.send("ada", away, version="1", next="/instruments?q=x")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/instruments?q=x")
    assert lab.send("ada", away, version="1", next="//evil.example.org").headers["Location"] == "/"
    assert banners(lab.get("ada", "/instruments").text) == []
    assert banners(lab.get("ben", "/instruments").text) == ["Power cut"]


def test_a_manager_announces_on_the_page(lab):
    page = lab.get("tam", "/announcements/new", facility="LAB").text
    assert 'value="facility:LAB" selected' in page
    assert "All of Yiqi" not in page
    typed = {
        "place": "facility:LAB",
        "text_en": "Closed on Friday",
        "level": "info",
        "shown": "place",
        "audience": "everyone",
        "begins_date": "2026-01-01",
        "begins_time": "08:00",
    }
    assert lab.send("tam", "/announcements/new", **typed, text_zh="").status_code == 303
    assert "Closed on Friday" in text_of(lab.get("tam", "/announcements").text)
    assert "Closed on Friday" in text_of(lab.get("cleo", "/instruments/SEM").text)
    one = re.search(r"/announcements/([0-9a-f-]{36})\"", lab.get("tam", "/announcements").text)[1]
    assert 'value="2026-01-01"' in lab.get("tam", f"/announcements/{one}").text
    wrong = lab.send("tam", "/announcements/new", **{**typed, "text_en": ""})
    assert wrong.status_code == 422
    assert "Text in Chinese: This is needed." in text_of(wrong.text)
    assert lab.send("tam", "/announcements/new", **{**typed, "place": ""}).status_code == 403
    assert lab.send("tam", f"/announcements/{one}/end").status_code == 303
    assert "Closed on Friday" not in text_of(lab.get("cleo", "/instruments/SEM").text)


def test_a_facility_joins_when_both_agree(lab):
    with db.transaction() as session:
        far = session.get_one(Facility, lab.facilities["FAR"])
        session.add(Membership(person_id=lab.people["tam"], role=Role.MANAGER, facility_id=far.id))
    page = lab.get("tam", "/network-requests").text
    assert "Nothing waits for an answer" in page
    wrong = lab.send("tam", "/network-requests", network="NET", facility="")
    assert wrong.status_code == 422
    assert 'href="#facility"' in wrong.text
    for who in ("ada", "cleo"):
        assert lab.get(who, "/network-requests").status_code == 403
        assert lab.send(who, "/network-requests", network="NET", facility="FAR").status_code == 403
    assert (
        lab.send("tam", "/network-requests", network="NET", facility="FAR", note="We fit").status_code == 303
    )
    assert "The other side has not answered yet." in lab.get("tam", "/network-requests").text
    assert "1 request to join a network waits for your answer" in lab.get("nora", "/").text
    page = lab.get("nora", "/network-requests").text
    assert "Far away asks to join" in page
    assert "We fit" in page
    address = re.search(r'action="(/network-requests/[^"]+/answer)"', page)[1]
    assert lab.send("tam", address, verdict="accept").status_code == 404
    bare = lab.send("nora", address, verdict="refuse")
    assert bare.status_code == 422
    assert re.search(r'<a href="#reason-[0-9a-f-]+">', bare.text)
    assert lab.send("nora", address, verdict="refuse", reason="Not yet").status_code == 303
    assert lab.send("nora", address, verdict="accept").status_code == 409
    assert lab.send("nora", "/network-requests", network="NET", facility="FAR").status_code == 303
    page = lab.get("tam", "/network-requests").text
    address = re.search(r'action="(/network-requests/[^"]+/answer)"', page)[1]
    assert lab.send("tam", address, verdict="accept").status_code == 303
    assert 'href="/networks/NET"' in lab.get("ada", "/facilities/FAR").text


def test_what_was_asked_is_taken_back(lab):
    lab.send("nora", "/network-requests", network="NET", facility="FAR")
    page = lab.get("nora", "/network-requests").text
    address = re.search(r'action="(/network-requests/[^"]+/withdrawal)"', page)[1]
    assert lab.send("tam", address).status_code == 404
    assert lab.send("nora", address).status_code == 303
    assert "Nothing waits for an answer" in lab.get("nora", "/network-requests").text

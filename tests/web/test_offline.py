"""What makes the app installable, and what a device is given to keep."""

from flask import Flask

from booking.i18n import LOCALES
from tests.web.lab import Lab, at


def test_the_manifest_names_pictures_that_are_there(app: Flask):
    client = app.test_client()
    answer = client.get("/manifest.webmanifest", headers={"Accept-Language": "zh-CN"})
    assert answer.mimetype == "application/manifest+json"
    told = answer.get_json(force=True)
    assert (told["start_url"], told["display"]) == ("/", "standalone")
    assert {icon["purpose"] for icon in told["icons"]} == {"any", "maskable"}
    for icon in told["icons"]:
        picture = client.get(icon["src"])
        assert (picture.status_code, picture.mimetype) == (200, "image/png")
        size = int.from_bytes(picture.data[16:20])
        picture.close()
        assert f"{size}x{size}" == icon["sizes"]
    page = client.get("/").text
    assert '<link rel="manifest" href="/manifest.webmanifest">' in page


def test_the_worker_keeps_pages_that_name_nobody(app: Flask):
    lab = Lab(app)
    answer = lab.get("ada", "/sw.js")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/javascript", "no-cache")
    assert answer.data == app.test_client().get("/sw.js").data
    for locale in LOCALES:
        address = f"/offline/{locale}"
        assert address in answer.text
        page = lab.get("ada", address)
        assert page.data == app.test_client().get(address).data
        assert "Ada" not in page.text
        assert "csrf" not in page.text
    assert lab.get("ada", "/offline/xx").status_code == 404


def test_a_device_gets_ones_own_next_bookings_and_no_more(app: Flask):
    lab = Lab(app)
    ours = lab.book("ada", "SEM", at(9), purpose="Secret", confidential=True)
    lab.book("ben", "BATH", at(9))
    over = at(9, days=-3)
    lab.book("ada", "BATH", over, now=over)
    answer = lab.get("ada", "/account/offline.json")
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json
    assert [one["id"] for one in told["items"]] == [str(ours)]
    (part,) = told["items"][0]["parts"]
    assert (part["code"], part["what"]) == ("SEM", "Microscope")
    assert "Secret" not in answer.text
    assert told["items"][0]["code"]["path"].startswith("M")
    assert (
        app.test_client().get("/account/offline.json", headers={"Accept": "application/json"}).status_code
        == 401
    )

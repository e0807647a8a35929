"""The pages of notices: the inbox, what one hears of, and the addresses to which it is posted."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from booking import db
from booking.gateways import hooks
from booking.services import notifications
from models import Event, NoticeWish, Person, QuietHours, Webhook
from tests.web.lab import Lab, at, text_of

URL = "https://oapi.dingtalk.com/robot/send?access_token=9f2c"


@pytest.fixture
def lab(app) -> Lab:
    return Lab(app)


@pytest.fixture
def told(lab) -> Lab:
    """Ada was told of two bookings that Tam made for her."""
    for hour in (9, 12):
        lab.book("tam", "SEM", at(hour), booked_for=lab.people["ada"])
    with db.transaction() as session:
        notifications.dispatch(session, remind=(), now=datetime.now(UTC))
    return lab


def bell(page: str) -> str:
    found = re.search(r'<a class="bell".*?</a>', page, re.DOTALL)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def ids(page: str) -> list[str]:
    return re.findall(r"/notices/([0-9a-f-]{36})/reading", page)


# --- the inbox ------------------------------------------------------------------------------------


def test_the_bell_of_every_page_counts_what_is_unread(told):
    assert bell(told.get("ada", "/free").text) == "Notices, unread: 2"
    assert bell(told.get("cleo", "/").text) == "Notices"
    assert 'class="bell"' not in told.app.test_client().get("/").text


def test_the_inbox_shows_what_happened_the_newest_first(told):
    page = told.get("ada", "/notices").text
    words = text_of(page)
    assert words.index("12:00") < words.index("09:00")
    assert "Booked: Microscope" in words
    assert words.count("New") == 2
    assert "My bookings" in words


def test_to_open_one_marks_it_and_leads_to_what_it_is_about(told):
    first, second = ids(told.get("ada", "/notices").text)
    answer = told.send("ada", f"/notices/{first}/reading")
    assert answer.status_code == 303
    assert answer.location.startswith("/bookings/")
    assert told.get("ada", answer.location).status_code == 200
    assert bell(told.get("ada", "/").text) == "Notices, unread: 1"
    assert ids(told.get("ada", "/notices?show=unread").text) == [second]


def test_all_are_marked_at_once(told):
    page = told.get("ada", "/notices").text
    until = re.search(r'name="until" value="([^"]+)"', page)[1]
    assert told.send("ada", "/notices/reading", until=until).status_code == 303
    assert bell(told.get("ada", "/").text) == "Notices"
    assert "Nothing unread" in told.get("ada", "/notices?show=unread").text


@pytest.mark.parametrize("until", ["", "yesterday", "2026-11-02T08:00:00"])
def test_what_is_no_time_marks_nothing(told, until):
    assert told.send("ada", "/notices/reading", until=until).status_code == 422
    assert bell(told.get("ada", "/").text) == "Notices, unread: 2"


def test_nobody_opens_what_another_was_told(told):
    (first, _) = ids(told.get("ada", "/notices").text)
    assert told.send("cleo", f"/notices/{first}/reading").status_code == 404
    assert told.send("root", f"/notices/{first}/reading").status_code == 404
    assert "Microscope" not in text_of(told.get("cleo", "/notices").text)


def test_without_any_it_says_what_will_be_there(lab):
    assert "No notices yet" in lab.get("cleo", "/notices").text


def test_the_inbox_speaks_the_readers_language_of_now(told):
    with db.transaction() as session:
        session.get_one(Person, told.people["ada"]).locale = "zh_Hans_CN"
    page = told.get("ada", "/notices").text
    assert "Booked: Microscope" not in page
    assert 'lang="zh-Hans-CN"' in page


# --- of what, how and when ------------------------------------------------------------------------


def chosen(page: str, name: str) -> str:
    select_tag = re.search(rf'<select[^>]*name="{name}"[^>]*>(.*?)</select>', page, re.DOTALL)[1]
    return re.search(r'value="(\w+)" selected', select_tag)[1]


def test_a_choice_is_kept_and_shown(lab):
    page = lab.get("ada", "/account/notices").text
    assert chosen(page, "bookings-mail") == "at_once"
    assert "bookings-dingtalk" not in page
    answer = lab.send(
        "ada",
        "/account/notices",
        **{"bookings-mail": "daily", "credit-inbox": "never", "quiet_begins": "22:00", "quiet_ends": "07:30"},
    )
    assert answer.status_code == 303
    page = lab.get("ada", "/account/notices").text
    assert chosen(page, "bookings-mail") == "daily"
    assert chosen(page, "credit-inbox") == "never"
    assert chosen(page, "credit-mail") == "at_once"
    assert 'value="22:00"' in page
    assert 'value="07:30"' in page
    lab.send("ada", "/account/notices", quiet_begins="", quiet_ends="")
    with db.reading() as session:
        assert session.scalars(select(QuietHours)).all() == []
        assert len(session.scalars(select(NoticeWish)).all()) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"bookings-mail": "hourly"},
        {"bookings-inbox": "daily"},
        {"quiet_begins": "22:00", "quiet_ends": ""},
        {"quiet_begins": "25:00", "quiet_ends": "07:00"},
        {"quiet_begins": "07:00", "quiet_ends": "07:00"},
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_kept(lab, fields):
    answer = lab.send("ada", "/account/notices", **{"reminders-mail": "never", **fields})
    assert answer.status_code == 422
    assert "Please check what you entered" in answer.text
    assert chosen(answer.text, "reminders-mail") == "never"
    with db.reading() as session:
        assert session.scalars(select(NoticeWish)).all() == []


# --- addresses ------------------------------------------------------------------------------------


def hook() -> Webhook | None:
    with db.reading() as session:
        return session.scalars(select(Webhook)).one_or_none()


@pytest.fixture
def with_hook(lab) -> Lab:
    answer = lab.send(
        "ada", "/account/webhooks", kind="dingtalk", name="Our group", url=URL, secret="SEC77aa"
    )
    assert answer.status_code == 303
    return lab


def test_an_address_is_added_and_never_shown_again(with_hook):
    page = with_hook.get("ada", "/account/webhooks").text
    words = text_of(page)
    assert "DingTalk Our group" in words
    assert "oapi.dingtalk.com" in words
    assert "9f2c" not in page
    assert "SEC77aa" not in page
    assert '<option value="dingtalk"' not in page
    assert "bookings-dingtalk" in with_hook.get("ada", "/account/notices").text
    assert "Our group" not in with_hook.get("root", "/account/webhooks").text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "This is needed"),
        ("http://oapi.dingtalk.com/x", "must begin with https://"),
        ("https://127.1/x", "does not lead into the public internet"),
        ("https://[::ffff:127.0.0.1]/x", "does not lead into the public internet"),
        ("https://2130706433/x", "does not lead into the public internet"),
    ],
)
def test_an_address_that_may_not_be_posted_to_is_refused(lab, url, said):
    answer = lab.send("ada", "/account/webhooks", kind="generic", name="", url=url, secret="SEC77aa")
    assert answer.status_code == 422
    assert said in answer.text
    assert "SEC77aa" not in answer.text
    assert hook() is None


def test_a_test_is_sent_and_its_fate_told(with_hook, monkeypatch):
    sent = []

    def take(kind, url, secret, post, **_told):
        sent.append((kind, url, secret, post.title))

    monkeypatch.setattr(hooks, "send", take)
    with db.transaction() as session:
        row = session.scalars(select(Webhook)).one()
        row.failed_at = row.off_at = datetime.now(UTC)
    path = f"/account/webhooks/{hook().id}/test"
    assert with_hook.send("ada", path).status_code == 303
    assert sent == [("dingtalk", URL, "SEC77aa", "A test from Yiqi")]
    assert "The test was taken" in with_hook.get("ada", "/account/webhooks").text
    assert (hook().failed_at, hook().off_at) == (None, None)

    def refuse(*_given, **_told):
        raise hooks.Failed("robot", 310000)

    monkeypatch.setattr(hooks, "send", refuse)
    with_hook.send("ada", path)
    assert "the robot refused it with code 310000" in with_hook.get("ada", "/account/webhooks").text
    assert with_hook.send("cleo", path).status_code == 404


def test_tests_cannot_be_used_to_knock_at_doors(make_app, sqlite_url, monkeypatch):
    limited = Lab(make_app(sqlite_url, rate_limits=True))
    monkeypatch.setattr(hooks, "send", lambda *_given, **_told: None)
    limited.send("ada", "/account/webhooks", kind="generic", name="", url=URL, secret="")
    path = f"/account/webhooks/{hook().id}/test"
    answers = [limited.send("ada", path).status_code for _ in range(12)]
    assert answers == [303] * 10 + [429] * 2


def test_an_address_is_forgotten(with_hook):
    path = f"/account/webhooks/{hook().id}/removal"
    assert with_hook.send("cleo", path).status_code == 404
    assert with_hook.send("ada", path).status_code == 303
    assert hook() is None
    with db.reading() as session:
        kinds = session.scalars(select(Event.kind).where(Event.kind.startswith("webhook."))).all()
    assert kinds == ["webhook.added", "webhook.removed"]

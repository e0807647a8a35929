"""News as Atom, RSS and JSON Feed: whatever the words, what is written can be read, and tells the same."""

import json
from datetime import UTC, datetime

from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.syndication import Channel, Item, atom, json_feed, rss

AT = datetime(2026, 11, 2, 8, 0, 30, tzinfo=UTC)
ATOM = "{http://www.w3.org/2005/Atom}"


def channel(title: str) -> Channel:
    return Channel("urn:uuid:1", title, "about", "https://yiqi.example.org/free", "en", "Yiqi", AT)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=3), st.text())
def test_any_words_come_through_in_every_form(texts: list[tuple[str, str]], title: str):
    items = [
        Item(f"tag:yiqi.example.org,2026:{n}", name, text, "https://yiqi.example.org/?a=1&b=<2>", AT)
        for n, (name, text) in enumerate(texts)
    ]
    said = json.loads(json_feed(channel(title), items))
    feed = ElementTree.fromstring(atom(channel(title), items))
    news = ElementTree.fromstring(rss(channel(title), items))
    assert said["title"] == (feed.findtext(f"{ATOM}title") or "") == (news.findtext("channel/title") or "")
    assert [(item["id"], item["title"], item["content_text"]) for item in said["items"]] == [
        (entry.findtext(f"{ATOM}id"), entry.findtext(f"{ATOM}title"), entry.findtext(f"{ATOM}content"))
        for entry in feed.iter(f"{ATOM}entry")
    ]
    assert [(item["id"], item["title"], item["content_text"], item["url"]) for item in said["items"]] == [
        tuple(item.findtext(name) for name in ("guid", "title", "description", "link"))
        for item in news.iter("item")
    ]


def test_what_each_grammar_asks_for_is_there():
    item = Item("tag:yiqi.example.org,2026:1", "title", "text", "https://yiqi.example.org/", AT)
    feed = ElementTree.fromstring(atom(channel("t"), [item]))
    for name in ("id", "title", "updated", "author"):  # RFC 4287, 4.1.1
        assert feed.find(f"{ATOM}{name}") is not None
    assert feed.findtext(f"{ATOM}entry/{ATOM}updated") == "2026-11-02T08:00:30Z"
    news = ElementTree.fromstring(rss(channel("t"), [item]))
    assert news.get("version") == "2.0"
    assert news.findtext("channel/item/pubDate") == "Mon, 02 Nov 2026 08:00:30 +0000"
    assert news.find("channel/item/guid").get("isPermaLink") == "false"
    said = json.loads(json_feed(channel("t"), [item]))
    assert said["version"] == "https://jsonfeed.org/version/1.1"
    assert said["items"][0]["date_published"] == "2026-11-02T08:00:30Z"

"""News as Atom, RSS 2.0 and JSON Feed: one list of items, three forms of it.

RFC 4287, the RSS 2.0 specification and JSON Feed 1.1 are the grammars. Nothing here knows the time of day: the same
news are the same bytes.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import NamedTuple
from xml.etree import ElementTree as ET  # nosec B405

from booking.domain.calendars import plain_text

_ATOM = "http://www.w3.org/2005/Atom"


class Item(NamedTuple):
    """A piece of news; `id` is a URI that stays the same for ever."""

    id: str
    title: str
    text: str
    url: str
    at: datetime


class Channel(NamedTuple):
    """What a list of news says of itself; `changed` is when it last had something new."""

    id: str
    title: str
    about: str
    url: str
    language: str
    author: str
    changed: datetime


def atom(channel: Channel, items: Sequence[Item]) -> bytes:
    """Return the news as an Atom feed."""
    feed = ET.Element("feed", {"xmlns": _ATOM, "xml:lang": channel.language})
    _add(feed, "id", channel.id)
    _add(feed, "title", channel.title)
    _add(feed, "subtitle", channel.about)
    _add(feed, "updated", _rfc3339(channel.changed))
    _add(ET.SubElement(feed, "author"), "name", channel.author)
    ET.SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": channel.url})
    for item in items:
        entry = ET.SubElement(feed, "entry")
        _add(entry, "id", item.id)
        _add(entry, "title", item.title)
        _add(entry, "published", _rfc3339(item.at))
        _add(entry, "updated", _rfc3339(item.at))
        ET.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": item.url})
        _add(entry, "content", item.text).set("type", "text")
    return _bytes(feed)


def rss(channel: Channel, items: Sequence[Item]) -> bytes:
    """Return the news as RSS 2.0."""
    root = ET.Element("rss", {"version": "2.0"})
    about = ET.SubElement(root, "channel")
    _add(about, "title", channel.title)
    _add(about, "link", channel.url)
    _add(about, "description", channel.about)
    _add(about, "language", channel.language)
    _add(about, "lastBuildDate", _rfc822(channel.changed))
    _add(about, "ttl", "30")
    for item in items:
        told = ET.SubElement(about, "item")
        _add(told, "title", item.title)
        _add(told, "link", item.url)
        _add(told, "description", item.text)
        _add(told, "guid", item.id).set("isPermaLink", "false")
        _add(told, "pubDate", _rfc822(item.at))
    return _bytes(root)


def json_feed(channel: Channel, items: Sequence[Item]) -> bytes:
    """Return the news as a JSON Feed of version 1.1."""
    said = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _clean(channel.title),
        "home_page_url": channel.url,
        "description": channel.about,
        "language": channel.language,
        "authors": [{"name": channel.author}],
        "items": [
            {
                "id": item.id,
                "url": item.url,
                "title": _clean(item.title),
                "content_text": _clean(item.text),
                "date_published": _rfc3339(item.at),
            }
            for item in items
        ],
    }
    return json.dumps(said, ensure_ascii=False, indent=1).encode()


def _add(parent: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, name)
    child.text = _clean(text)
    return child


def _clean(text: str) -> str:
    """Give what XML can carry, and JSON the same."""
    return _NO_CHARACTER.sub("", plain_text(text))


_NO_CHARACTER = re.compile("[\ufffe\uffff]")


def _bytes(root: ET.Element) -> bytes:
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _rfc822(moment: datetime) -> str:
    return format_datetime(moment)

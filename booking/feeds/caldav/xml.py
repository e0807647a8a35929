"""XML of WebDAV, read within limits and written; never by matching text."""

import re
from typing import Any
from xml.etree import ElementTree as ET  # nosec B405

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

D = "{DAV:}"
C = "{urn:ietf:params:xml:ns:caldav}"
CS = "{http://calendarserver.org/ns/}"
APPLE = "{http://apple.com/ns/ical/}"
Y = "{urn:yiqi:caldav}"

for _prefix, _space in {"D": D, "C": C, "CS": CS, "A": APPLE, "Y": Y}.items():
    ET.register_namespace(_prefix, _space.strip("{}"))

# The standard library's own tree is built and written; whatever comes in is read by defusedxml.
Element = ET.Element

DEEPEST = 30
MOST = 20_000
"""Elements of one body; a program that asks for a thousand events by name sends about as many."""


class BadXml(Exception):
    """A body that is no XML, or XML that nobody means well with."""


class _Builder(ET.TreeBuilder):
    """Builds a tree that is neither too deep nor too large."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.count = 0

    def start(self, tag: Any, attrs: Any, /) -> Any:
        self.depth += 1
        self.count += 1
        if self.depth > DEEPEST or self.count > MOST:
            raise BadXml("too much of it")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Any:
        self.depth -= 1
        return super().end(tag)


def parse(data: bytes) -> Element:
    """Read a body; whatever would define or fetch something (a DTD, entities) is refused.

    :raises BadXml: if it is not well-formed, too deep or too large
    """
    parser = XMLParser(target=_Builder(), forbid_dtd=True)
    try:
        parser.feed(data)
        root = parser.close()
    except (ET.ParseError, DefusedXmlException, ValueError, LookupError) as error:  # the last two: encodings
        raise BadXml(str(error)) from None
    if not isinstance(root, ET.Element):
        raise BadXml("nothing")
    return root


_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What a calendar may carry and XML may not: one such character would spoil the whole answer."""


def made(tag: str, *content: "Element | str", **attributes: str) -> Element:
    """Make an element of texts and other elements."""
    element = ET.Element(tag, attributes)
    for part in content:
        if isinstance(part, str):
            element.text = (element.text or "") + _UNWRITABLE.sub("", part)
        else:
            element.append(part)
    return element


def written(root: Element) -> bytes:
    """Give the tree as a body; line ends within texts survive the reader's own idea of them."""
    return ET.tostring(root, encoding="utf-8", xml_declaration=True).replace(b"\r", b"&#13;")

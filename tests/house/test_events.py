"""Of every kind of event that services record it is decided who hears, if anybody."""

import ast
import re
from collections.abc import Iterator

from booking.domain.notices import TOLD
from tests.house.sources import ROOT

RECORDERS = {"record", "_record", "_note", "note_of", "_tell", "tell", "_step", "_answer", "_mail_link"}
KIND = re.compile(r"[a-z_]+\.[a-z_]+")

NOBODY = {
    "what its person did, or stood beside": {
        *("booking.checked_in", "booking.ended", "booking.feedback", "booking.agreed"),
    },
    "the change that it is told with says why": {"booking.made_room"},
    "what one's own calendar says, or is told by mail": {"invitation.accepted", "invitation.answered"},
    "its owner hears what all steps come to": {"approval.given", "approval.refused"},
    "it stands with the booking": {"paper.added", "paper.removed"},
    "its bookings are told one by one": {"closure.made", "closure.lifted"},
    "one's own place in the line": {
        "waitlist.joined",
        "waitlist.left",
        "waitlist.taken",
        "waitlist.declined",
        "waitlist.booked",
        *("standby.joined", "standby.here", "standby.gone"),
    },
    "managers put the line in order": {"waitlist.ranked"},
    "the offer that answers it is told": {"transfer.countered"},
    "who asks sees it on the page": {
        *("qualification.defined", "qualification.redefined", "qualification.retired"),
        *("qualification.needed", "qualification.needed_no_more"),
        *("qualification.session_planned", "qualification.session_called_off"),
    },
    "rules of the house, kept by those who made them": {
        *("rule.added", "rule.changed", "rule.ended", "credit.rule_set", "credit.rule_ended"),
        *("facility.changed", "instrument.changed", "instruments.imported", "working_days.announced"),
        "organisation.changed",
        *("people.imported", "closures.imported"),
        *("network.changed", "network.joined", "network.left", "network.unasked"),
        *("announcement.made", "announcement.changed", "announcement.ended"),
        *("facility.added", "facility.withdrawn", "facility.reopened", "instrument.added"),
        *("prices.changed", "prices.raised", "file.added", "file.changed", "file.removed", "files.sorted"),
        *("kiosk.made", "kiosk.revoked"),
        *("calendar_source.added", "calendar_source.paused", "calendar_source.resumed"),
        *("calendar_source.removed", "calendar_source.changed", "calendar.imported"),
        *("permit.added", "permit.ended", "permit.prolonged", "permit.struck"),
        *("target.set", "target.dropped"),
    },
    "what one does to one's own account": {
        *(
            "person.changed",
            "token.made",
            "token.revoked",
            "calendar.made",
            "calendar.changed",
            "calendar.revoked",
        ),
        "person.joined",
        *("webhook.added", "webhook.removed", "notices.chosen", "mail_secret.renewed"),
    },
    "told once the address is confirmed": {"person.membership_asked"},
    "who may not sign in, or is nobody, gets no letter": {
        *("person.disabled", "person.sessions_ended", "person.password_reset_unknown"),
    },
}
"""Kinds of which nobody hears, by the reason why."""

PLANNING = ("wish.", "changeovers.", "utility.")
"""Tables and drafts of those who plan; people hear what is proposed to them."""


def recorded() -> Iterator[str]:
    """Every kind that stands in the call of a function that records events."""
    for path in sorted((ROOT / "booking" / "services").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in RECORDERS:
                given = [*node.args, *(word.value for word in node.keywords if word.arg == "kind")]
                for part in (inner for one in given for inner in ast.walk(one)):
                    if isinstance(part, ast.Constant) and KIND.fullmatch(str(part.value)):
                        yield str(part.value)


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def test_of_every_kind_of_event_it_is_decided_who_hears():
    silent = set().union(*NOBODY.values())
    found = set(recorded())
    assert found > {"booking.changed", "transfer.lapsed", "badge.changed"}
    undecided = found - set(TOLD) - silent
    assert {kind for kind in undecided if not kind.startswith(PLANNING)} == set()
    assert silent & set(TOLD) == set()

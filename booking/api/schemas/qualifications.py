"""Qualifications, their training sessions, and people's certificates."""

from enum import StrEnum
from typing import Any

from marshmallow import fields, post_load

from booking.api.schemas.bookings import PersonOut
from booking.api.schemas.fields import Choice, In, Instant, Key, Out, Text, Whole, span
from booking.api.schemas.instruments import NamedOut
from booking.api.schemas.paging import PageIn, PageOut
from booking.domain.qualifications import Mode, Step
from booking.services.qualifications import LONGEST_NOTE, MOST_MONTHS, MOST_SEATS

LONGEST_ABOUT = 4000

_ID = {"description": "A qualification's id.", "example": "LASER"}
_DATE = {"required": "required", "null": "required", "invalid": "malformed", "format": "malformed"}


def _day(**kwargs: Any) -> fields.Date:
    return fields.Date(allow_none=True, load_default=None, error_messages=_DATE, **kwargs)


class QualificationsIn(In):
    """Whose qualifications."""

    facility = Text(longest=40, load_default="", metadata={"description": "Of the facility of this id."})


class QualificationChangeIn(In):
    """What a qualification is called and how long it lasts."""

    name_zh = Text(longest=300, load_default="")
    name_en = Text(longest=300, load_default="")
    about_zh = Text(longest=LONGEST_ABOUT, lines=True, load_default="")
    about_en = Text(longest=LONGEST_ABOUT, lines=True, load_default="")
    months = Whole(
        least=1,
        most=MOST_MONTHS,
        allow_none=True,
        load_default=None,
        metadata={"description": "How long it lasts; null is for ever.", "example": 12},
    )


class QualificationIn(QualificationChangeIn):
    """A new qualification of a facility."""

    facility_id = Text(longest=40, required=True, metadata={"example": "DG-SSL"})
    id = Text(longest=40, required=True, metadata=_ID)

    @post_load
    def _coded(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["code"] = data.pop("id")
        return data


class QualificationOut(NamedOut):
    """A training or safety certificate that a facility gives."""

    facility_id = fields.String(required=True)
    about_zh = fields.String(required=True)
    about_en = fields.String(required=True)
    months = fields.Integer(required=True, allow_none=True)


class QualificationsOut(Out):
    """Qualifications by id."""

    items = fields.List(fields.Nested(QualificationOut), required=True)
    total = fields.Integer(required=True)


class NeedIn(In):
    """Where it is needed, and when it must be held."""

    instrument_id = Text(
        longest=40,
        allow_none=True,
        load_default=None,
        metadata={"description": "Null, and no category: every instrument of the facility."},
    )
    category = Text(
        longest=12, allow_none=True, load_default=None, metadata={"description": "A class of instruments."}
    )
    mode = Choice(Mode, load_default=Mode.BEFORE_BOOKING)


class NeedOut(Out):
    """A rule that wants a qualification."""

    id = fields.Integer(required=True)
    instrument_id = fields.String(required=True, allow_none=True)
    category = fields.String(required=True, allow_none=True)
    mode = Choice(Mode, required=True)
    since = fields.Date(required=True)


class NeedsOut(Out):
    """The rules of a facility that want a qualification."""

    items = fields.List(fields.Nested(NeedOut), required=True)
    total = fields.Integer(required=True)


class TrainingIn(In):
    """A time at which a qualification is taught."""

    start = Instant(required=True, metadata={"example": "2026-11-23T09:00:00+08:00"})
    end = Instant(required=True, metadata={"example": "2026-11-23T11:00:00+08:00"})
    seats = Whole(least=1, most=MOST_SEATS, required=True)
    place = Text(longest=300, load_default="")

    @post_load
    def _spanned(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        whole = span(data.pop("start"), data.pop("end"))
        return data | {"starts_at": whole.start, "ends_at": whole.end}


class TrainingOut(Out):
    """A training session."""

    id = fields.UUID(required=True)
    qualification_id = fields.String(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    place = fields.String(required=True)
    trainer = fields.String(required=True, allow_none=True)
    seats = fields.Integer(required=True)
    free = fields.Integer(required=True)


class TrainingsOut(Out):
    """Training sessions, the next first."""

    items = fields.List(fields.Nested(TrainingOut), required=True)
    total = fields.Integer(required=True)


class CertificatesIn(PageIn):
    """Which certificates: one's own, or those of a facility where one works."""

    facility = Text(longest=40, load_default="", metadata={"description": "For its staff."})
    qualification = Text(longest=40, load_default="", metadata=_ID)
    state = fields.List(Choice(Step), load_default=list)


class CertificateIn(In):
    """A request for a qualification, or, with a person, a grant by the facility's staff."""

    qualification_id = Text(longest=40, required=True, metadata=_ID)
    session_id = Key(allow_none=True, load_default=None, metadata={"description": "A training session."})
    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")
    person = Text(
        longest=254,
        allow_none=True,
        load_default=None,
        metadata={"description": "Address or id of somebody to whom it is granted at once."},
    )
    granted_on = _day()
    expires_on = _day()


class SeatIn(In):
    """The training session that is chosen."""

    session_id = Key(required=True)


class Verdict(StrEnum):
    """What becomes of a request or a certificate."""

    GRANT = "grant"
    REFUSE = "refuse"
    REVOKE = "revoke"


class VerdictIn(In):
    """The facility's decision."""

    decision = Choice(Verdict, required=True)
    reason = Text(
        longest=LONGEST_NOTE,
        lines=True,
        load_default="",
        metadata={"description": "Needed to refuse and to revoke."},
    )
    granted_on = _day()
    expires_on = _day(
        metadata={
            "description": "Granted: by default as long as the qualification lasts. Revoked: by default at once; a day"
            " before its end lets it count until then."
        }
    )


class CertificateOut(Out):
    """A person's way to a qualification."""

    id = fields.UUID(required=True)
    qualification_id = fields.String(required=True, attribute="qualification.code")
    person = fields.Nested(PersonOut, required=True)
    session_id = fields.UUID(required=True, allow_none=True)
    state = Choice(Step, required=True)
    note = fields.String(required=True)
    requested_at = Instant(required=True)
    decided_at = Instant(required=True, allow_none=True)
    granted_on = fields.Date(required=True, allow_none=True)
    expires_on = fields.Date(
        required=True, allow_none=True, metadata={"description": "The first day on which it counts no more."}
    )


class CertificatesOut(PageOut):
    """A page of certificates."""

    items = fields.List(fields.Nested(CertificateOut), required=True)

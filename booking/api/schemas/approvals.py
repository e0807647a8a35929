"""Approvals: steps and who said what, chemicals, papers, and who decides for whom."""

from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from booking.api.schemas.fields import Choice, Figure, Flag, In, Instant, Out, Text
from booking.api.schemas.rules import RulesIn
from booking.domain.approvals import Need, StepState
from booking.domain.chemicals import (
    LARGEST,
    LONGEST_NAME,
    LONGEST_NUMBER,
    LONGEST_UNIT,
    MOST,
    PLACES,
    Hazard,
    Substance,
    mistakes,
)
from booking.domain.papers import LONGEST_TITLE
from models import PaperKind

_CAS = {"description": "A CAS number; its check digit is checked.", "example": "67-64-1"}


class Quantity(fields.String):
    """A quantity, as text or as a number, never rounded."""

    default_error_messages = {"required": "required", "null": "required", "invalid": "malformed"}  # noqa: RUF012 - as marshmallow has it

    def _deserialize(self, value: Any, _attr: str | None, _data: Any, **_kwargs: Any) -> Decimal:  # type: ignore[override]
        if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 30:
            raise self.make_error("invalid")
        try:
            found = Decimal(str(value))
        except ArithmeticError:
            raise self.make_error("invalid") from None
        if not found.is_finite():
            raise self.make_error("invalid")
        if found <= 0:
            raise ValidationError("too_small")
        if found > LARGEST:  # before it is rounded, which numbers of more digits than there are cannot be
            raise ValidationError("too_large")
        if found != round(found, PLACES):
            raise self.make_error("invalid")
        return found


class ChemicalIn(In):
    """A substance that is brought."""

    name = Text(longest=LONGEST_NAME, required=True, metadata={"example": "Acetone"})
    cas = Text(longest=12, load_default="", metadata=_CAS)
    quantity = Quantity(
        allow_none=True,
        load_default=None,
        metadata={"description": "More than 0, at most 4 decimals.", "example": "2.5"},
    )
    unit = Text(longest=LONGEST_UNIT, load_default="", metadata={"example": "L"})
    hazards = fields.List(
        Choice(Hazard), load_default=list, error_messages={"null": "required", "invalid": "malformed"}
    )
    permit_number = Text(longest=LONGEST_NUMBER, load_default="")

    @post_load
    def _substance(self, data: dict[str, Any], **_: Any) -> Substance:
        found = Substance(**{**data, "hazards": frozenset(data["hazards"])})
        errors = mistakes([found])
        if errors:
            raise ValidationError(
                {name.removeprefix("chemicals.0."): [code] for name, code in errors.items()}
            )
        return found


def chemicals(**given: Any) -> fields.List:
    """Make the field in which chemicals are declared."""
    return fields.List(
        fields.Nested(ChemicalIn, error_messages={"null": "required", "type": "malformed"}),
        validate=validate.Length(max=MOST, error="too_many"),
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={
            "description": "What is brought, with its hazards; rules may ask for approval or a permit."
        },
        **given,
    )


class ChemicalOut(Out):
    """A substance that is brought."""

    name = fields.String(required=True)
    cas = fields.String(required=True, metadata=_CAS)
    quantity = Figure(required=True, allow_none=True)
    unit = fields.String(required=True)
    hazards = fields.List(Choice(Hazard), required=True)
    permit_number = fields.String(required=True)


class ChemicalsOut(Out):
    """All that a booking declares."""

    items = fields.List(fields.Nested(ChemicalOut), required=True)


class WordOut(Out):
    """Somebody who is asked, and what they said."""

    person_id = fields.UUID(required=True)
    name = fields.String(required=True, attribute="person.name")
    approves = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "Null: they have not spoken."}
    )
    comment = fields.String(required=True)
    spoken_at = Instant(required=True, allow_none=True)
    spoken_by = fields.UUID(
        required=True, allow_none=True, metadata={"description": "Who said it, in their place if another."}
    )


class StepOut(Out):
    """A step of approval."""

    id = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"description": "Empty: the facility's own approval."})
    round = fields.Integer(
        required=True, metadata={"description": "Rises when a change asks for approval anew."}
    )
    stage = fields.Integer(
        required=True, metadata={"description": "Steps of one stage are open side by side."}
    )
    need = Choice(Need, required=True)
    state = Choice(StepState, required=True)
    conditions = fields.List(
        fields.Dict(), required=True, metadata={"description": "Why the step is asked for."}
    )
    opened_at = Instant(required=True, allow_none=True)
    due_at = Instant(required=True, allow_none=True)
    decided_at = Instant(required=True, allow_none=True)
    approvers = fields.List(fields.Nested(WordOut), required=True)


class StepsOut(Out):
    """Every step of a booking, by round and stage."""

    items = fields.List(fields.Nested(StepOut), required=True)


class PaperIn(In):
    """What a paper is; the file itself is the body."""

    kind = Choice(PaperKind, required=True)
    title = Text(longest=LONGEST_TITLE, required=True, metadata={"example": "SDS acetone"})
    number = Text(longest=LONGEST_NUMBER, load_default="", metadata={"description": "Of a permit."})


class PaperOut(Out):
    """A paper of a booking."""

    id = fields.UUID(required=True)
    kind = Choice(PaperKind, required=True)
    title = fields.String(required=True)
    number = fields.String(required=True)
    media_type = fields.String(
        required=True, metadata={"description": "Found by the content; empty where there is no file."}
    )
    sha256 = fields.Function(
        lambda paper: paper.digest.hex() if paper.digest else None,
        required=True,
        metadata={"type": ["string", "null"], "description": "Of the file."},
    )
    added_by = fields.UUID(required=True)
    added_at = Instant(required=True)


class PapersOut(Out):
    """All papers of a booking."""

    items = fields.List(fields.Nested(PaperOut), required=True)


class ApprovalRuleIn(RulesIn):
    """A step of approval that is asked for at one place, and below it."""

    name = Text(longest=60, required=True, metadata={"example": "Safety"})
    off = Flag(
        load_default=False, metadata={"description": "Ask for the step of this name no more, from here down."}
    )
    data = fields.Dict(
        load_default=dict,
        error_messages={"null": "required", "invalid": "malformed"},
        metadata={
            "description": "`stage`, `need` (`all`, `any`), `approvers` and `escalate_to` (`role`: `manager`,"
            " `leader`, `project_leader`; or `people`: ids), `when` (`condition`, `value`, `opens`, `closes`),"
            " `deadline_days`, `on_silence` (`expire`, `escalate`, `approve`), `permit_for` (hazards).",
            "example": {"approvers": {"role": "manager"}, "when": [{"condition": "hazardous"}]},
        },
    )
    valid_from = fields.Date(
        allow_none=True,
        load_default=None,
        error_messages={"invalid": "malformed", "null": "required", "format": "malformed"},
    )
    note = Text(longest=500, load_default="")


class ApprovalRuleOut(Out):
    """A step of approval that is asked for."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    off = fields.Function(lambda rule: rule.value == 0, required=True, metadata={"type": "boolean"})
    data = fields.Dict(required=True)
    valid_from = fields.Date(required=True)
    note = fields.String(required=True)


class DelegationIn(In):
    """Who decides in one's place, and from when to when."""

    delegate = Text(longest=254, required=True, metadata={"description": "A colleague's e-mail address."})
    start = Instant(required=True)
    end = Instant(required=True)


class DelegationOut(Out):
    """A delegation that is not over."""

    id = fields.UUID(required=True)
    delegate = fields.String(required=True, metadata={"description": "The e-mail address."})
    name = fields.String(required=True)
    start = Instant(required=True)
    end = Instant(required=True)


class DelegationsOut(Out):
    """One's delegations that are not over."""

    items = fields.List(fields.Nested(DelegationOut), required=True)

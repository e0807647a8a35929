"""What a page's form brings: known fields, each once, as text."""

from flask import request

from booking import wording
from booking.domain.rules import Invalid

_ALWAYS = {"csrf_token"}


def fields(*names: str, many: tuple[str, ...] = ()) -> dict[str, str]:
    """Give the named fields of the form, empty where it lacks one; `many` may come too, and often.

    :raises Invalid: if it brings a field that is not among them, or one of the names twice
    """
    known = {*names, *many}
    errors = {name: "unknown" for name in request.form if name not in known | _ALWAYS}
    errors |= {name: "duplicate" for name in names if len(request.form.getlist(name)) > 1}
    # PostgreSQL keeps no such character, and nobody types one.
    errors |= {name: "control_characters" for name in known if "\x00" in "".join(request.form.getlist(name))}
    if errors:
        raise Invalid(errors)
    return {name: request.form.get(name, "") for name in names}


def choices(name: str) -> list[str]:
    """Give all values of a field of check boxes."""
    return request.form.getlist(name)


def sentences(error: Invalid) -> dict[str, str]:
    """Say what is wrong with each field."""
    return {name: wording.error_sentence(code) for name, code in error.errors.items()}

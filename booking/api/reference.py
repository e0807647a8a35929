"""The OpenAPI document as a page to read: its operations by part, each with what it takes and gives."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
_OF_EVERY_OPERATION = frozenset({"400", "401", "403", "413", "415", "422", "429", "503"})

Words = list[tuple[bool, str]]
"""Text in pieces, each with whether it is code."""


@dataclass(frozen=True)
class Value:
    """Something that is sent or given: a parameter or a field."""

    name: str
    place: str
    kind: str
    required: bool
    words: Words


@dataclass(frozen=True)
class Operation:
    """One call."""

    id: str
    method: str
    path: str
    title: str
    paragraphs: Sequence[Words]
    parameters: Sequence[Value]
    body: str
    answers: Sequence[tuple[str, str, Words]]


@dataclass(frozen=True)
class Part:
    """Operations that belong together."""

    name: str
    words: Words
    operations: Sequence[Operation]


@dataclass(frozen=True)
class Shape:
    """A named object of the document."""

    name: str
    words: Words
    fields: Sequence[Value]


def parts(document: Mapping[str, Any]) -> list[Part]:
    """Give the operations by the parts of the API."""
    found = list(_operations(document))
    return [
        Part(tag["name"], words(tag["description"]), [one for name, one in found if name == tag["name"]])
        for tag in document["tags"]
    ]


def shapes(document: Mapping[str, Any]) -> list[Shape]:
    """Give the objects by name."""
    return [
        Shape(name, words(schema.get("description", "")), list(_fields(schema)))
        for name, schema in sorted(document["components"]["schemas"].items())
    ]


def words(text: str) -> Words:
    """Cut text at the backticks that stand around code."""
    pieces = text.replace("\n", " ").split("`")
    return [(number % 2 == 1, piece) for number, piece in enumerate(pieces) if piece]


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, found in document["paths"].items():
        for method in METHODS:
            if (said := found.get(method)) is None:
                continue
            given = [*found.get("parameters", ()), *said.get("parameters", ())]
            yield (
                said["tags"][0],
                Operation(
                    id=said["operationId"],
                    method=method.upper(),
                    path=path,
                    title=said["summary"],
                    paragraphs=[words(part) for part in said.get("description", "").split("\n\n") if part],
                    parameters=[_parameter(one) for one in given],
                    body=_body(said),
                    answers=list(_answers(document, said)),
                ),
            )


def _parameter(given: Mapping[str, Any]) -> Value:
    said = given.get("description", "")
    return Value(given["name"], given["in"], kind(given["schema"]), given.get("required", False), words(said))


def _body(said: Mapping[str, Any]) -> str:
    content = said.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return kind(content["application/json"]["schema"])
    return ", ".join(content)


def _answers(document: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[tuple[str, str, Words]]:
    """Give status, object and words of each answer that not every operation has."""
    for status, answer in said["responses"].items():
        if status in _OF_EVERY_OPERATION:
            continue
        if "$ref" in answer:
            yield status, "Problem", words(_at(document, answer["$ref"])["description"])
            continue
        content = answer.get("content", {}).get("application/json")
        yield status, kind(content["schema"]) if content else "", words(answer["description"])


def _at(document: Mapping[str, Any], reference: str) -> Any:
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


def _fields(schema: Mapping[str, Any]) -> Iterator[Value]:
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        yield Value(name, "body", kind(field), name in required, words(field.get("description", "")))


def kind(schema: Mapping[str, Any]) -> str:
    """Say in a few words what a value must be: `integer 1–100`, `list of Item`, `"a" or "b"`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join("null" if value is None else f'"{value}"' for value in schema["enum"])
    names = schema.get("type", "object")
    first, *others = [names] if isinstance(names, str) else names
    if first == "array":
        said = f"list of {kind(schema['items'])}"
    else:
        said = _bounded(str(schema.get("format", first)), schema)
    return " or ".join([said, *others])


def _bounded(name: str, schema: Mapping[str, Any]) -> str:
    if "maximum" in schema:
        return f"{name} {schema.get('minimum', 0)}–{schema['maximum']}"
    if "maxLength" in schema:
        return f"{name} ≤ {schema['maxLength']}"
    return name


def anchors(text: str, known: Sequence[str]) -> list[tuple[str, bool]]:
    """Cut a kind at the names of objects, each piece with whether it is one."""
    pieces = re.split(r"(\w+)", text)
    return [(piece, piece in known) for piece in pieces if piece]

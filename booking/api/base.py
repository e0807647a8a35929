"""What all of the API shares: the blueprint's class, how requests are read, how answers are written."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import flask_smorest
from flask import Request, Response
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.routing import BaseConverter

from booking.domain.rules import Invalid
from booking.http.problems import field_errors

PREFIX = "/api/v1"

_MOST_ERRORS = 100
_LONGEST_NAME = 100
_View = TypeVar("_View", bound=Callable[..., Any])


class Parser(FlaskParser):
    """Reads bodies and queries strictly, and tells what is wrong with them as one code per field."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": None, "query": RAISE}  # noqa: RUF012 - as webargs wants it

    def _get_schema(self, argmap: Any, req: Request) -> Schema:
        """Give the schema of a class, made once and not for each request."""
        return _made(argmap) if isinstance(argmap, type) else super()._get_schema(argmap, req)

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 - webargs passes it
        """Read the body; none at all is an empty object.

        :raises Invalid: if it is no JSON
        """
        raw = req.get_data(cache=True)
        if not raw:
            return {}
        try:
            return json.loads(raw.decode("utf-8"), parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise Invalid({"body": "malformed"}) from None

    def load_querystring(self, req: Request, schema: Schema) -> MultiDictProxy:
        """Read the query; only lists may name a parameter twice.

        :raises Invalid: if another one is repeated
        """
        lists = {
            field.data_key or name
            for name, field in schema.load_fields.items()
            if isinstance(field, fields.List)
        }
        for name, values in req.args.lists():
            if len(values) > 1 and name not in lists:
                raise Invalid({_shown(name): "duplicate"})
        found: MultiDictProxy = super().load_querystring(req, schema)
        return found

    def handle_error(self, error: ValidationError, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Give a code per field.

        :raises Invalid: always
        """
        errors = field_errors(error.messages)
        raise Invalid({_shown(name): code for name, code in list(errors.items())[:_MOST_ERRORS]})


@functools.cache
def _made(schema: type[Schema]) -> Schema:
    return schema()


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and the infinities are no JSON


def _shown(name: str) -> str:
    """Give a name that somebody sent, short and such that every writer of JSON can write it."""
    return name[:_LONGEST_NAME].encode("utf-8", "replace").decode("utf-8")


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A part of the API."""

    ARGUMENTS_PARSER = Parser()


class Code(BaseConverter):
    """The code of an instrument, a facility or a network in an address."""

    regex = r"[^/\x00-\x20\x7f]{1,40}"
    part_isolating = True


def written(data: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Write an answer that is plain already; for long lists, where schemas cost more than the query."""
    return as_json(json.dumps(data, ensure_ascii=False, separators=(",", ":")), status, headers)


def as_json(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Give an answer that is JSON already."""
    return Response(text, status, dict(headers or {}), mimetype="application/json")


def problems(*statuses: int) -> Callable[[_View], _View]:
    """Say which problems an operation has, besides those that every operation has."""

    def decorate(view: _View) -> _View:
        view.__problems__ = statuses  # type: ignore[attr-defined]
        return view

    return decorate

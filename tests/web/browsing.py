"""A client that sends forms as a browser does: with the page's CSRF token."""

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def csrf_token(client: FlaskClient) -> str:
    """Of the client's session as it is now; the language switcher of every page carries it."""
    return _TOKEN.search(client.get("/mail-sent").text)[1]


def send(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    """Send a form."""
    return client.post(path, data={"csrf_token": csrf_token(client), **fields})


def sign_in(client: FlaskClient, email: str, password: str, **fields: Any) -> TestResponse:
    """Sign in by the form."""
    return send(client, "/sign-in", email=email, password=password, **fields)

"""A real mail server on a free port of this machine that keeps what it is given."""

import email
import email.policy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class Sink:
    """The messages in the order in which they came. `answer` gives what the server says to one."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.receivers: list[list[str]] = []
        self.url = ""
        self.answer: Callable[[EmailMessage], str] = lambda _message: "250 OK"
        self.arrived = threading.Semaphore(0)

    @property
    def ids(self) -> list[str]:
        return [message["Message-ID"] for message in self.messages]

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        said = self.answer(message)
        if said.startswith("250"):
            self.messages.append(message)
            self.receivers.append(envelope.rcpt_tos)
        self.arrived.release()
        return said


class _Anywhere(Controller):
    """Listens on a port that is free, and knows which."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def sink(**options: Any) -> Iterator[Sink]:
    """Run the server while the context lasts."""
    found = Sink()
    controller = _Anywhere(found, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        found.url = f"smtp://127.0.0.1:{controller.port}"
        yield found
    finally:
        controller.stop()


def knows(user: str, password: str) -> Callable[..., AuthResult]:
    """An authenticator that lets one person in."""

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            user.encode(),
            password.encode(),
        )
        return AuthResult(success=right, handled=False)

    return authenticate

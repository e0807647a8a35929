"""Delivers all that is due in a child process, and in another one each time the child is killed.

`python -m tests.jobs.nursery` with the settings in the environment; prints the id of each child. With the port of a web
server as its argument it posts what is due to webhooks, all of them there, instead of mail.
"""

import os
import socket
import sys
from datetime import UTC, datetime

from booking import db, messages
from booking.config import Settings
from booking.gateways import way_out
from booking.jobs import deliver, hooks
from booking.services import notifications
from tests.jobs.web_sink import PUBLIC


def main() -> None:
    settings = Settings.from_env()
    for part in ("subject.txt", "body.txt", "body.html"):
        messages._environment().get_template(f"mail/booking.placed/{part}")  # once for all children
    while True:
        child = os.fork()
        if not child:
            _deliver(settings)
            os._exit(0)
        print(child, flush=True)
        if os.waitpid(child, 0)[1] == 0:
            return


def _deliver(settings: Settings) -> None:
    db.init(settings.url, pool_size=2)
    with db.transaction() as session:
        # As a leader does who knows that the one before is dead.
        notifications.give_back(session, now=datetime.now(UTC))
    if len(sys.argv) > 1:
        _lead_to(int(sys.argv[1]))
        hooks.run(settings, lambda: False)
    else:
        deliver.run(settings, lambda: False)


def _lead_to(port: int) -> None:
    """Let every name lead to a server of this machine that speaks without encryption."""
    way_out.Pinned.begin = lambda _self: None
    way_out._resolve = lambda _host, _port: [PUBLIC]
    way_out._connect = lambda _address, _port, timeout: socket.create_connection(("127.0.0.1", port), timeout)


if __name__ == "__main__":
    main()

"""Delivers all that is due in a child process, and in another one each time the child is killed.

`python -m tests.jobs.nursery` with the settings in the environment; prints the id of each child.
"""

import os
from datetime import UTC, datetime

from booking import db, messages
from booking.config import Settings
from booking.jobs import deliver
from booking.services import notifications


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
    deliver.run(settings, lambda: False)


if __name__ == "__main__":
    main()

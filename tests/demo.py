"""The demo of `./dev run` for tests: its inventory, its people and what they have booked, served."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from booking import db
from booking.domain import inventory
from booking.domain.access import SYSTEM
from booking.services import accounts, imports, seeds
from tests.conftest import Databases
from tests.servers import ROOT, GunicornServer

INVENTORY = ROOT / "booking" / "demo" / "inventory.yaml"


def fill(session: Session, now: datetime) -> None:
    """Write the demo into an empty database."""
    found = inventory.read(INVENTORY.read_bytes(), INVENTORY.name)
    imports.apply(session, actor=SYSTEM, inventory=found, now=now)
    seeds.demo(session, password_hash=accounts.hash_password(seeds.PASSWORD), now=now)


def serving(databases: Databases) -> Iterator[str]:
    """Serve the demo from a database of its own, and say where."""
    url = databases.clone("sqlite")
    db.init(url)
    with db.transaction() as session:
        fill(session, datetime.now(UTC))
    db.dispose()
    with GunicornServer(url, workers=1) as running:
        yield running.base_url
    databases.drop(url)

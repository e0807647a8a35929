"""The primary is killed under load and the replica promoted: nothing acknowledged is lost, nothing is double.

Two nodes behind PgBouncer, two jobs processes, clients that book, move and cancel at both nodes.
"""

import random
import threading
import time
from datetime import UTC, datetime

import pytest

from booking import db
from booking.services import invariants, jobs
from models import guards
from tests.factories import make_facility, make_instrument
from tests.jobs.test_processes import Jobs
from tests.province.pair import Pair, pair
from tests.races.history import Operation, faults
from tests.races.test_storm import Storm, end_of
from tests.races.world import Answer, Call, assert_never_overbooked, database, people
from tests.servers import GunicornServer

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("province")]
CLIENTS = 6
BEFORE = 100
"""Answers before the primary dies."""

AFTER = 100
"""Answers with the new one."""

TAKES_OVER = 60
"""Seconds for the jobs to go on, on a busy machine; on a quiet one it is about 5."""


class Siege(Storm):
    """Clients that go to both nodes, and come again when they are told to."""

    def __init__(self, ports: list[int], token: str, codes: list[str]) -> None:
        super().__init__(ports[0], token, codes)
        self.ports = ports
        self.away: list[Answer] = []
        self.wrong: list[Answer] = []
        self.acknowledged = 0

    def ask(self, call: Call, op: Operation) -> Answer | None:
        self.port = random.choice(self.ports)
        answer = super().ask(call, op)
        if answer is None:
            return None
        self.acknowledged += op.outcome == "ok"
        if answer.status == 503:
            self.away.append(answer)
            with self.more:
                self.more.notify_all()
            self.stop.wait(float(answer.headers["Retry-After"]) / 2)
        elif answer.status >= 500:
            self.wrong.append(answer)
        return answer


@pytest.fixture
def servers():
    with pair() as running:
        db.upgrade(running.direct_url)
        yield running


@pytest.fixture
def settings(make_settings, servers: Pair):
    direct, read = servers.direct_url, servers.read_url
    return make_settings(servers.url, direct_database_url=direct, read_database_url=read)


@pytest.fixture
def nodes(servers: Pair):
    env = {
        "YIQI_DIRECT_DATABASE_URL": servers.direct_url,
        "YIQI_READ_DATABASE_URL": servers.read_url,
        "YIQI_READ_LAG_SECONDS": "600",  # on a busy machine
        "YIQI_PATIENCE_SECONDS": "0",  # whoever is told to come again shall have met the outage
    }
    # What goes wrong on the side, such as noting the last use of a token, is logged while there is no primary.
    how = {"workers": 1, "threads": 6, "env": env, "faults_expected": True}
    with GunicornServer(servers.url, **how) as one, GunicornServer(servers.url, **how) as other:
        yield [one, other]


def test_nothing_acknowledged_is_lost_when_the_primary_dies(servers: Pair, nodes, settings):
    with database(servers.direct_url) as session:
        token = people(session)["ada"]
        facility = make_facility(session)
        made = [make_instrument(session, facility=facility) for _ in range(3)]
        ids = {row.id: row.code for row in made}
    workers = [Jobs(settings), Jobs(settings)]
    siege = Siege([node.port for node in nodes], token, list(ids.values()))
    threads = [threading.Thread(target=siege.client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        siege.wait_for(BEFORE)
        before = beat(servers.direct_url)
        servers.kill_primary()
        with siege.more:
            assert siege.more.wait_for(lambda: len(siege.away) >= 2, timeout=60), "nobody noticed"
        assert [node._ask("/api/v1/instruments") for node in nodes] == [200, 200]  # visitors go on reading
        servers.promote()
        promoted = time.monotonic()
        acknowledged = siege.acknowledged
        siege.wait_for(siege.answered + AFTER)
        assert siege.acknowledged > acknowledged
        while beat(servers.direct_url).beat <= before.beat + 2:
            assert time.monotonic() < promoted + TAKES_OVER, "the jobs stand still"
            servers._stays("pooler")
    finally:
        siege.stop.set()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.process.terminate()
        ends = [worker.end() for worker in workers]
    assert ends == [0, 0]
    assert not siege.problems, siege.problems
    assert siege.wrong == []
    assert all(answer.body["code"] == "unavailable" for answer in siege.away)
    assert faults(siege.history, end_of(servers.direct_url, ids)) == []
    assert_never_overbooked(servers.direct_url)
    with database(servers.direct_url) as session:
        assert guards.missing(session.connection()) == []
        assert [found for found in invariants.check(session, now=datetime.now(UTC)) if found.count] == []


def beat(url: str) -> jobs.Lease:
    with database(url) as session:
        return jobs.lease(session)

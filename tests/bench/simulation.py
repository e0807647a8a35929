"""A whole country on paper: the load of a national network, simulated.

What a request costs is measured (`python -m tests.bench costs`); how many come, how they are spread and how machines
are laid out is assumed, and stands here. The queues before cores, instruments and servers are simulated one event after
the other (`tests/bench/queues.py`); `tests/bench/simulation_report.py` tells what came of it.
"""

from bisect import bisect
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, cycle
from math import ceil
from random import Random

from tests.bench.queues import Clock, Gate, Pool, Process

# What is assumed of the country


@dataclass(frozen=True)
class Nation:
    """How much there is, and how it is used."""

    instruments: int = 150_000
    facilities: int = 3_200
    people: int = 2_000_000
    bookings_a_year: int = 20_000_000
    subscribed: float = 0.1
    """The share of the people whose calendar subscribes, and asks every few hours."""

    hours_between_feeds: float = 4.0


WEEK = (1.0, 1.05, 1.05, 1.0, 0.9, 0.3, 0.2)
"""How busy the days are, from Monday."""

DAY = (0, 0, 0, 0, 0, 0, 1, 3, 10, 14, 12, 8, 4, 6, 11, 10, 8, 5, 3, 2, 2, 1, 1, 0)
"""How busy the hours are."""

ASKED = {"page": 3.0, "week": 6.0, "search": 2.0, "find": 0.5, "own": 2.0}
"""What is asked for beside each booking."""

CHANGED = 0.3
"""Changes and cancellations beside each booking; they cost as much."""

REFUSED = 0.08
"""The share of calm bookings that are refused and tried again."""


# What was measured: milliseconds of the processor, web and database apart


@dataclass(frozen=True)
class Cost:
    """Processor milliseconds of a request at the web server and in the database."""

    web: float
    database: float


Costs = dict[str, Cost]

MEASURED: Costs = {
    "book": Cost(14.3, 5.3),
    "refuse": Cost(11.2, 3.9),
    "week": Cost(4.9, 1.9),
    "own": Cost(16.5, 4.0),
    "search": Cost(21.1, 4.6),
    "page": Cost(52.8, 13.5),
    "find": Cost(25.4, 5.2),
    "feed": Cost(2.8, 1.3),
}
"""2026-11-22, 2 cores of a busy x86-64 machine, PostgreSQL 15, the least of several runs; REST but for the page.

A refusal is one in a crowd, whose alternatives are shared; alone it costs twice as much.
"""

AIM: Costs = {
    "book": Cost(1.7, 0.8),
    "refuse": Cost(2.7, 1.3),
    "week": Cost(1.7, 0.8),
    "own": Cost(2.5, 1.0),
    "search": Cost(4.0, 4.0),
    "page": Cost(8.0, 3.0),
    "find": Cost(5.0, 4.0),
    "feed": Cost(1.3, 0.7),
}
"""The figures to reach, where there are any; the others in proportion."""

TURNED_AWAY = 0.001
"""Seconds of a core for an answer 503 at the door."""

BEFORE, HELD, AFTER = 0.3, 0.5, 0.2
"""The shares of a booking's web time before it has the instrument's lock, while it holds it, and after the commit."""

ROUND_TRIPS = 20
"""Statements while the lock is held, each there and back."""

ROUND_TRIP = 0.0002
GRACE = 90.0
"""Seconds from their turn on in which somebody is let in, whatever they ask for."""

COMMIT = 0.003
"""Seconds until a commit is safe here and on the standby; two for a commit in two phases."""


# What is assumed of the machines and of the rush


@dataclass(frozen=True)
class Layout:
    """The machines: so many of each sort with so many cores."""

    nodes: int = 16
    node_cores: int = 8
    shards: int = 4
    shard_cores: int = 16
    replicas: int = 2
    replica_cores: int = 16
    inside: int = 32
    """Requests that a node works on at a time; the others stand before it."""

    patience: float = 3.0
    """Who stood there for longer is given a turn and told when to come again: `booking/http/admission.py`."""

    @property
    def cores(self) -> int:
        return self.nodes * self.node_cores


ENDLESS = 10**9


@dataclass(frozen=True)
class Rush:
    """Opening time: so many want a slot of so many instruments, all at once."""

    instruments: int = 500
    slots: int = 20
    a_second: int = 5_000
    seconds: float = 4.0
    two_places: float = 0.02
    """The share of bookings that want a second instrument at another facility."""

    counted: float = 0.0
    """The share whose organisation has a limit over all facilities, so that its bookings are counted in turn."""

    organisations: int = 2_000
    one_shard: bool = False
    """All facilities of the rush on one shard."""

    patience: float = ENDLESS
    """Who has no answer for so long sends it again, while the first still waits."""

    most_tries: int = 40
    other_slots: int = 2
    """So often a loser takes one of the alternatives, before the waitlist."""

    @property
    def people(self) -> int:
        return round(self.a_second * self.seconds)


def sizes(nation: Nation, random: Random) -> list[int]:
    """Give the number of instruments of each facility: a few large ones, many small ones, all of them together."""
    weights = [random.lognormvariate(0.0, 1.3) for _ in range(nation.facilities)]
    share = (nation.instruments - nation.facilities) / sum(weights)
    found = [1 + int(weight * share) for weight in weights]
    for n in range(nation.instruments - sum(found)):
        found[n % len(found)] += 1
    return sorted(found, reverse=True)


def busiest_hour(nation: Nation) -> float:
    """Give the bookings a second in the busiest hour of the week."""
    a_week = nation.bookings_a_year / 52
    return a_week * max(WEEK) / sum(WEEK) * max(DAY) / sum(DAY) / 3600


def rates(nation: Nation, bookings: float) -> dict[str, float]:
    """Give the requests a second of each kind when so many bookings a second are placed."""
    found = {kind: bookings * times for kind, times in ASKED.items()}
    found["book"] = bookings * (1 + CHANGED)
    found["refuse"] = bookings * REFUSED
    found["feed"] = nation.people * nation.subscribed / nation.hours_between_feeds / 3600
    return found


# The machines at work


@dataclass
class Outcome:
    """What a run met. Every request is answered, refused at the door or still inside."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    first_word: list[float] = field(default_factory=list)
    """Seconds until each who wants to book heard more than that they shall come again."""

    last_word: list[float] = field(default_factory=list)
    """Seconds until each knew: booked, or on the waitlist."""

    tries: list[int] = field(default_factory=list)
    winners: int = 0
    losers: int = 0
    gave_up: int = 0
    sold: set[tuple[int, int]] = field(default_factory=set)
    sold_twice: int = 0
    lasted: float = 0.0
    web: float = 0.0
    shards: float = 0.0
    busiest_shard: float = 0.0
    replicas: float = 0.0
    longest_line: int = 0

    @property
    def inside(self) -> int:
        return self.sent - self.answers.total()

    @property
    def answered(self) -> list[float]:
        """Seconds of all answers to bookings, those at the door among them."""
        return [one for kind in ("booked", "taken", "503") for one in self.seconds.get(kind, ())]


def within(seconds: Sequence[float], limit: float, of: int | None = None) -> float:
    """Give the share that took no longer."""
    return sum(one <= limit for one in seconds) / max(1, len(seconds) if of is None else of)


class Node:
    """A web server: its cores, the places inside, and the turns that it gives to who would wait too long."""

    LEAST_STEP, MOST_STEP, BUSY = 0.0006, 1.0, 4  # a process has 0.005, and a node eight of them

    def __init__(self, layout: Layout) -> None:
        self.cores = Pool(layout.node_cores)
        self.door = Gate(layout.inside)
        self.patience = layout.patience
        self.last = 0.0
        self.step = self.MOST_STEP
        self.left: deque[float] = deque()

    def turn(self, waited: float, now: float) -> float | None:
        """Tell when to come again; None is at once. Turns follow each other as fast as it answered lately."""
        late = waited > self.patience and self.door.places - self.door.free >= self.BUSY
        if not late and self.last <= now:
            return None
        if late:
            while self.left and self.left[0] < now - self.patience:
                self.left.popleft()
            self.step = min(max(self.patience / max(1, len(self.left)), self.LEAST_STEP), self.MOST_STEP)
        self.last = max(self.last, now) + self.step
        return self.last


class Site:
    """All machines of a layout, with requests that go through them."""

    def __init__(self, layout: Layout, costs: Costs, random: Random) -> None:
        self.layout = layout
        self.costs = costs
        self.random = random
        self.clock = Clock()
        self.nodes = [Node(layout) for _ in range(layout.nodes)]
        self.shards = [Pool(layout.shard_cores) for _ in range(layout.shards)]
        self.replicas = [Pool(layout.replica_cores) for _ in range(layout.replicas)]
        self.locks: defaultdict[object, Gate] = defaultdict(Gate)
        self.outcome = Outcome()
        self._last_answer = 0.0
        self._next_node: Iterator[Node] = cycle(self.nodes)
        self._next_replica = cycle(self.replicas)

    def read(self, kind: str) -> Process:
        """Ask for something that a replica knows."""
        begun, node = self._arrive()
        yield node.door
        if node.turn(self.clock.now - begun, self.clock.now) is not None:
            yield from self._turn_away(node, begun)
            return
        cost = self.costs[kind]
        yield node.cores, cost.web / 1000
        yield next(self._next_replica), cost.database / 1000
        self._leave(node, kind, begun)

    def book(self, wanted: "Wanted") -> Process:
        """Try to book; `wanted.answer` is the outcome."""
        begun, node = self._arrive()
        yield node.door
        if wanted.turn is None:
            wanted.turn = node.turn(self.clock.now - begun, self.clock.now)
            if wanted.turn is not None:
                wanted.answer = "503"
                yield from self._turn_away(node, begun)
                return
        cost = self.costs["book"]
        shards = [self.shards[n] for n in wanted.shards]
        yield node.cores, BEFORE * cost.web / 1000
        locks = [self.locks[key] for key in wanted.locks]
        for lock in locks:
            yield lock
        yield ROUND_TRIPS * ROUND_TRIP * len(shards)
        taken = self._taken(wanted.slots)
        part = 0.5 if taken else 1.0  # one that is refused has read, and writes nothing
        yield node.cores, part * HELD * cost.web / 1000
        for shard in shards:
            yield shard, part * cost.database / 1000
        if not taken:
            yield COMMIT * len(shards)
            self.outcome.sold_twice += self._taken(wanted.slots)
            self.outcome.sold.update(wanted.slots)
        for lock in reversed(locks):
            lock.give_back(self.clock)
        if taken:
            # The alternatives are looked for when nothing is held any more.
            refuse = self.costs["refuse"]
            spent = (BEFORE + part * HELD) * cost.web
            yield node.cores, max(0.0, refuse.web - spent) / 1000
            yield next(self._next_replica), max(0.0, refuse.database - part * cost.database) / 1000
        else:
            yield node.cores, AFTER * cost.web / 1000
        wanted.answer = "taken" if taken else "booked"
        self._leave(node, wanted.answer, begun)

    def _taken(self, slots: Sequence[tuple[int, int]]) -> bool:
        return any(slot in self.outcome.sold for slot in slots)

    def _arrive(self) -> tuple[float, Node]:
        self.outcome.sent += 1
        return self.clock.now, next(self._next_node)

    def _turn_away(self, node: Node, begun: float) -> Process:
        yield node.cores, TURNED_AWAY, True  # so short a work gets its slice of a core between the others
        node.door.give_back(self.clock)
        self._answered("503", begun)

    def _leave(self, node: Node, kind: str, begun: float) -> None:
        node.door.give_back(self.clock)
        node.left.append(self.clock.now)
        self._answered(kind, begun)

    def _answered(self, kind: str, begun: float) -> None:
        self._last_answer = self.clock.now
        self.outcome.answers[kind] += 1
        self.outcome.seconds[kind].append(self.clock.now - begun)

    def finish(self, until: float = float("inf"), *, since: float = 0.0) -> Outcome:
        """Run, and tell how busy the machines were from an instant on until the last answer."""
        self.clock.run(since)
        for pool in (*(node.cores for node in self.nodes), *self.shards, *self.replicas):
            pool.worked = 0.0
        self.clock.run(until)
        found = self.outcome
        found.lasted = (self._last_answer if until == float("inf") else until) - since
        shards = [shard.utilisation(found.lasted) for shard in self.shards]
        found.web = sum(node.cores.utilisation(found.lasted) for node in self.nodes) / len(self.nodes)
        found.shards, found.busiest_shard = sum(shards) / len(shards), max(shards)
        found.replicas = sum(one.utilisation(found.lasted) for one in self.replicas) / len(self.replicas)
        found.longest_line = max((lock.longest for lock in self.locks.values()), default=0)
        return found


@dataclass
class Wanted:
    """What somebody wants to book: slots with the locks and the shards that they take, in order."""

    slots: list[tuple[int, int]]
    locks: list[object]
    shards: list[int]
    turn: float | None = None
    """When they were told to come again, from which on they are let in."""

    answer: str = ""


# The rush


class Opening:
    """Opening time at a site."""

    def __init__(self, rush: Rush, site: Site, facilities: Sequence[int]) -> None:
        self.rush = rush
        self.site = site
        self.random = site.random
        self._left = [list(range(rush.slots)) for _ in range(rush.instruments)]
        homes = list(range(len(facilities)))
        weights = list(accumulate(facilities))
        self.home = [
            homes[bisect(weights, self.random.uniform(0, weights[-1] - 1))] for _ in range(rush.instruments)
        ]

    def run(self) -> Outcome:
        """Let everybody come, and give what they met."""
        rush = self.rush
        early = 10.0
        for n in range(rush.people):
            at = early + rush.seconds * n / rush.people
            self.site.clock.start(self._look(), at - self.random.uniform(0.0, early))
            self.site.clock.start(self._somebody(), at)
        return self.site.finish(since=early)

    def _look(self) -> Process:
        yield from self.site.read("week")

    def _somebody(self) -> Process:
        site, rush, random = self.site, self.rush, self.random
        found, begun = site.outcome, site.clock.now
        wanted = self._wish(random.randrange(rush.instruments), random.randrange(rush.slots))
        heard = others = 0
        for tries in range(1, rush.most_tries + 1):
            if rush.patience < ENDLESS:
                site.clock.after(rush.patience, self._again(wanted))
            wanted.answer = ""
            yield from site.book(wanted)
            if wanted.answer == "503":
                yield float(max(1, ceil((wanted.turn or 0.0) - site.clock.now)))  # told in whole seconds
                continue
            if not heard:
                heard = 1
                found.first_word.append(site.clock.now - begun)
            instead = self._other_slot(wanted.slots[0][0]) if wanted.answer == "taken" else None
            if instead is not None and others < rush.other_slots:
                others += 1
                yield random.uniform(1.0, 3.0)  # they look at what is offered instead
                turn = wanted.turn
                wanted = self._wish(wanted.slots[0][0], instead)
                wanted.turn = turn if turn is not None and site.clock.now < turn + GRACE else None
                continue
            found.last_word.append(site.clock.now - begun)
            found.tries.append(tries)
            found.winners += wanted.answer == "booked"
            found.losers += wanted.answer == "taken"
            return
        found.gave_up += 1

    def _again(self, wanted: Wanted) -> Process:
        """Send once more what has no answer yet; the server does not know that it is the same."""
        if not wanted.answer:
            yield from self.site.book(replace(wanted))

    def _wish(self, instrument: int, slot: int) -> Wanted:
        places = [instrument]
        if self.random.random() < self.rush.two_places:
            places = sorted({instrument, self.random.randrange(self.rush.instruments)})
            places.sort(key=lambda place: (place != instrument, place))
        slots = [(place, slot) for place in places]
        locks: list[object] = sorted(places)
        if self.random.random() < self.rush.counted:
            locks.append(("organisation", int(self.rush.organisations * self.random.random() ** 3)))
        shards = sorted({self._shard(place) for place in places})
        return Wanted(slots, locks, shards)

    def _shard(self, instrument: int) -> int:
        if self.rush.one_shard:
            return 0
        return self.home[instrument] * 2_654_435_761 % 2**32 * len(self.site.shards) >> 32

    def _other_slot(self, instrument: int) -> int | None:
        """Give one that is free now."""
        left = self._left[instrument]
        while left:
            n = self.random.randrange(len(left))
            if (instrument, left[n]) not in self.site.outcome.sold:
                return left[n]
            left[n] = left[-1]
            left.pop()
        return None


def run_rush(rush: Rush, layout: Layout, costs: Costs, *, seed: int, nation: Nation | None = None) -> Outcome:
    """Simulate an opening."""
    random = Random(seed)
    facilities = sizes(nation or Nation(), random)
    return Opening(rush, Site(layout, costs, random), facilities).run()


# A calm hour


def run_calm(
    nation: Nation, layout: Layout, costs: Costs, *, bookings: float, seconds: float, seed: int
) -> Outcome:
    """Simulate so many seconds in which people come one by one, whenever they like."""
    random = Random(seed)
    site = Site(layout, costs, random)
    homes = [home for home, size in enumerate(sizes(nation, random)) for _ in range(size)]
    for kind, rate in rates(nation, bookings).items():
        at = random.expovariate(rate) if rate else seconds
        while at < seconds:
            site.clock.start(_one(site, kind, homes, at), at)
            at += random.expovariate(rate)
    return site.finish(seconds)


def _one(site: Site, kind: str, homes: Sequence[int], at: float) -> Process:
    if kind not in {"book", "refuse"}:
        yield from site.read(kind)
        return
    place = site.random.randrange(len(homes))
    slot = (place, -1 if kind == "refuse" else int(at * 1e6))
    if kind == "refuse":
        site.outcome.sold.add(slot)
    shard = homes[place] * 2_654_435_761 % 2**32 * len(site.shards) >> 32
    yield from site.book(Wanted([slot], [place], [shard]))

"""Where each table would stand if the database were many: `python -m tests.bench placement [--write]`.

The place of a table is decided here by people; what follows for its keys is counted from the models. With `--write`
the tables go into `docs/scale.md`. A table that is new needs a line in `PLACES`.
"""

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKeyConstraint, Integer, Table, UniqueConstraint

from models import Base
from tests.bench import paper

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "scale.md"

FACILITY, PERSON, EVERYWHERE, OWN_KEY, ONE_NODE = (
    "facility",
    "person",
    "everywhere",
    "its own key",
    "one node",
)

MEANS = {
    FACILITY: "distributed by `facility_id`, all co-located",
    PERSON: "distributed by `person_id`, all co-located",
    EVERYWHERE: "a reference table, whole on every node",
    OWN_KEY: "distributed by a key of its own",
    ONE_NODE: "on the coordinator alone",
}


class Place(NamedTuple):
    """Where the rows of a table stand, and how that is told of a row."""

    where: str
    by: str


_INSTRUMENT = "its instrument"
_BOOKING = "its booking"
_SMALL = "small, seldom written"

PLACES: dict[str, Place] = {
    "announcement": Place(EVERYWHERE, _SMALL),
    "announcement_seen": Place(PERSON, "the person"),
    "api_token": Place(PERSON, "the person; the token must name its owner's shard"),
    "approval_step": Place(FACILITY, "itself"),
    "approver": Place(FACILITY, "its step"),
    "badge": Place(EVERYWHERE, "one for each person, sought by its number"),
    "ban": Place(FACILITY, "itself; one for all facilities has to be copied to each"),
    "booking": Place(FACILITY, "each facility that it touches has a copy; the first item's is its home"),
    "booking_item": Place(FACILITY, _INSTRUMENT),
    "booking_paper": Place(FACILITY, _BOOKING),
    "calendar_day": Place(EVERYWHERE, _SMALL),
    "calendar_link": Place(PERSON, "the person; the address must name its owner's shard"),
    "calendar_link_instrument": Place(PERSON, "its address"),
    "calendar_question": Place(FACILITY, _BOOKING),
    "calendar_source": Place(FACILITY, "itself"),
    "calendar_source_instrument": Place(FACILITY, "its source"),
    "came_free": Place(FACILITY, _INSTRUMENT),
    "capability": Place(FACILITY, _INSTRUMENT),
    "category": Place(EVERYWHERE, _SMALL),
    "certificate": Place(FACILITY, "its qualification"),
    "changeover": Place(FACILITY, "itself, or its instrument"),
    "chemical": Place(FACILITY, _BOOKING),
    "closure": Place(FACILITY, "itself"),
    "credit_entry": Place(FACILITY, "itself; points of no facility at the home of the booking"),
    "credit_rule": Place(EVERYWHERE, _SMALL),
    "dav_collection": Place(PERSON, "the person"),
    "dav_object": Place(PERSON, "its collection"),
    "delegation": Place(EVERYWHERE, _SMALL),
    "delivery": Place(PERSON, "the person, with what its event says"),
    "document": Place(FACILITY, _INSTRUMENT),
    "event": Place(FACILITY, "the home of its booking, or itself; 0 for those of no facility"),
    "facility": Place(EVERYWHERE, _SMALL),
    "fault": Place(FACILITY, _INSTRUMENT),
    "favourite": Place(PERSON, "the person"),
    "freed": Place(FACILITY, _INSTRUMENT),
    "hold": Place(PERSON, "the person; its rows of the ledger stand with their instruments"),
    "imported_event": Place(FACILITY, _INSTRUMENT),
    "inbound_mail": Place(OWN_KEY, "the hash of the letter"),
    "instrument": Place(FACILITY, "itself"),
    "instrument_file": Place(FACILITY, _INSTRUMENT),
    "instrument_part": Place(FACILITY, "its line"),
    "instrument_permit": Place(FACILITY, _INSTRUMENT),
    "instrument_price": Place(FACILITY, _INSTRUMENT),
    "instrument_text": Place(FACILITY, _INSTRUMENT),
    "invitation": Place(FACILITY, _BOOKING),
    "job_lease": Place(ONE_NODE, "one row for each job"),
    "job_run": Place(ONE_NODE, "one row for each job"),
    "kiosk": Place(FACILITY, "itself; its address must name the shard"),
    "mail_secret": Place(PERSON, "the person"),
    "meeting": Place(FACILITY, _INSTRUMENT),
    "membership": Place(EVERYWHERE, "read with every request, seldom written"),
    "membership_request": Place(EVERYWHERE, _SMALL),
    "network": Place(EVERYWHERE, _SMALL),
    "network_facility": Place(EVERYWHERE, _SMALL),
    "network_logo": Place(EVERYWHERE, _SMALL),
    "network_request": Place(EVERYWHERE, _SMALL),
    "notice_wish": Place(PERSON, "the person"),
    "occupation": Place(FACILITY, _INSTRUMENT),
    "one_time_link": Place(PERSON, "the person; the link must name its owner's shard"),
    "opening_rule": Place(FACILITY, "itself, or its instrument"),
    "organisation": Place(EVERYWHERE, _SMALL),
    "outside_event": Place(FACILITY, "its source"),
    "person": Place(EVERYWHERE, "two million narrow rows, read by everything"),
    "project": Place(EVERYWHERE, "read with every booking, seldom written"),
    "project_member": Place(EVERYWHERE, "read with every booking, seldom written"),
    "proposal": Place(FACILITY, "its replan"),
    "qualification": Place(FACILITY, "itself"),
    "quiet_hours": Place(PERSON, "the person"),
    "quota_lock": Place(OWN_KEY, "the party whose bookings are counted"),
    "rate_limit": Place(OWN_KEY, "the counter's name"),
    "reminder": Place(FACILITY, _BOOKING),
    "replan": Place(FACILITY, "itself"),
    "request_key": Place(FACILITY, "the home of the booking that it makes"),
    "round": Place(FACILITY, "itself"),
    "round_pin": Place(FACILITY, "its wish"),
    "round_share": Place(FACILITY, "its round"),
    "round_step_instrument": Place(FACILITY, "its wish"),
    "round_wish": Place(FACILITY, "its round"),
    "round_wish_instrument": Place(FACILITY, "its wish"),
    "round_wish_step": Place(FACILITY, "its wish"),
    "rule": Place(EVERYWHERE, "read with every booking, seldom written"),
    "series": Place(FACILITY, _INSTRUMENT),
    "sign_in": Place(PERSON, "the person; the cookie must name their shard"),
    "solver_run": Place(FACILITY, "its round or replan"),
    "stamp": Place(EVERYWHERE, "one or few rows"),
    "training_session": Place(FACILITY, "its qualification"),
    "transfer": Place(FACILITY, "its booking"),
    "usage": Place(FACILITY, _BOOKING),
    "utilisation_target": Place(FACILITY, "itself, or its instrument"),
    "utility": Place(FACILITY, "itself"),
    "waitlist_entry": Place(PERSON, "the person"),
    "waitlist_instrument": Place(FACILITY, "its instrument, with a copy of the entry's window"),
    "waitlist_offer": Place(PERSON, "its entry"),
    "webhook": Place(PERSON, "the person"),
}

IN_CODE = {
    "`SELECT … FOR UPDATE` and its kin, which must name the key": r"with_for_update\(",
    "of these, claims that skip what is locked": r"skip_locked=True",
    "advisory locks": r"pg_(?:try_)?advisory_\w*lock\(",
    "`ON CONFLICT`, whose columns must have the key in them": r"on_conflict_do_",
    "bookings sought by their id alone": r"\bBooking\.id == |session\.get\(Booking\b",
    "rows sought by the hash of a secret": r"\.secret_hash == ",
}
"""What a distributed database would have looked at in the code."""

_KEY = {FACILITY: "facility_id", PERSON: "person_id"}


def where(table: str) -> str:
    """Give where a table stands."""
    return PLACES[table].where


def has_key(table: Table) -> str:
    """Tell whether the table has the column that distributes it: it has, may lack it in a row, or has not."""
    column = table.columns.get(_KEY[where(table.name)])
    if column is None:
        return "no"
    return "in part" if column.nullable else "yes"


def uniques(table: Table) -> list[tuple[str, ...]]:
    """Give the columns of each uniqueness but the primary key."""
    found = {
        tuple(c.name for c in one.columns) for one in table.constraints if isinstance(one, UniqueConstraint)
    }
    found |= {
        tuple(getattr(c, "name", str(c)) for c in one.expressions) for one in table.indexes if one.unique
    }
    return sorted(found)


class Crossing(NamedTuple):
    """A foreign key from one table to another, with where both stand."""

    table: str
    columns: tuple[str, ...]
    target: str

    @property
    def sort(self) -> str:
        """Tell what becomes of it."""
        here, there = where(self.table), where(self.target)
        if there == EVERYWHERE:
            return "to a reference table: stays"
        if here == there:
            return "between co-located tables: stays, with the key in it"
        if here == EVERYWHERE:
            return "from a reference table to a distributed one: goes"
        return "between tables in different places: goes"


def crossings() -> list[Crossing]:
    """Give every foreign key."""
    return [
        Crossing(table.name, tuple(c.name for c in one.columns), one.referred_table.name)
        for table in Base.metadata.sorted_tables
        for one in table.constraints
        if isinstance(one, ForeignKeyConstraint)
    ]


def narrow_sequences() -> list[str]:
    """Give the distributed tables whose key the database counts up in less than a bigint."""
    found = []
    for table in Base.metadata.sorted_tables:
        key = table.autoincrement_column
        if key is None or where(table.name) not in _KEY or key.foreign_keys:
            continue
        if isinstance(key.type, Integer) and not isinstance(key.type, BigInteger):
            found.append(table.name)
    return sorted(found)


def report() -> Iterator[tuple[str, str]]:
    """Give the marks of the page with the text that belongs there."""
    yield "placement-counts", _counts()
    yield "placement", "\n\n".join(_of(place) for place in MEANS)
    yield "placement-keys", _keys()
    yield "placement-code", _in_code()


def _counts() -> str:
    tables = list(Base.metadata.tables.values())
    rows: list[list[object]] = []
    for place, means in MEANS.items():
        here = [table for table in tables if where(table.name) == place]
        keyed = Counter(has_key(table) for table in here) if place in _KEY else Counter()
        told = f"{keyed['yes']} / {keyed['in part']} / {keyed['no']}" if keyed else "–"
        rows.append([means, len(here), told])
    return paper.table(("place", "tables", "have the key: always / in some rows / never"), rows)


def _of(place: str) -> str:
    names = sorted(name for name, one in PLACES.items() if one.where == place)
    by: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        by[PLACES[name].by].append(f"`{name}`")
    rows = [[", ".join(tables), told] for told, tables in sorted(by.items(), key=lambda one: -len(one[1]))]
    return f"**{MEANS[place].capitalize()}** ({len(names)})\n\n{paper.table(('tables', 'placed by'), rows)}"


def _keys() -> str:
    distributed = [table for table in Base.metadata.sorted_tables if where(table.name) in _KEY]
    lacking = [t for t in distributed if _KEY[where(t.name)] not in t.primary_key.columns]
    narrow = [
        (table.name, columns)
        for table in distributed
        for columns in uniques(table)
        if _KEY[where(table.name)] not in columns
    ]
    sorts = Counter(one.sort for one in crossings())
    counted = narrow_sequences()
    going = sorted(f"`{one.table}.{'+'.join(one.columns)}`" for one in crossings() if "goes" in one.sort)
    told = [
        f"{len(lacking)} of {len(distributed)} distributed tables need the key added to their primary key.",
        f"{len(narrow)} further uniquenesses lack it: {_named(narrow)}.",
        f"{len(counted)} distributed tables count up in an integer that must become a bigint: {_code(counted)}.",
        f"{sorts.total()} foreign keys: {'; '.join(f'{n} {sort}' for sort, n in sorts.most_common())}.",
        f"Those that go: {', '.join(going)}.",
    ]
    return "\n".join(f"- {line}" for line in told)


def _in_code() -> str:
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "booking").rglob("*.py")}
    rows: list[list[object]] = []
    for what, pattern in IN_CODE.items():
        found = [len(re.findall(pattern, text)) for text in texts.values()]
        rows.append([what, sum(found), sum(1 for one in found if one)])
    return paper.table(("in `booking/`", "uses", "files"), rows)


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _named(found: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    return ", ".join(f"`{table} ({', '.join(columns)})`" for table, columns in found)


def main(words: Sequence[str] | None = None) -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench placement", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    chosen = parser.parse_args(words)
    for mark, text in report():
        print(f"\n## {mark}\n\n{text}")
        if chosen.write:
            paper.put(PAGE, mark, text)

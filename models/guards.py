"""The database's last word on the ledger of time: triggers on both engines, an exclusion constraint on PostgreSQL.

Beside them stand the triggers of `models/stamp.py`: where one lacked, rules that changed would go unnoticed.

Whoever writes, through the service or by hand, the peak of overlapping quantities stays within an instrument's
units. A writer that counts must first lock, or two would count the same room; so the PostgreSQL trigger takes
the instrument's row by an update of its revision (an update, since SELECT FOR UPDATE keeps an old snapshot under
REPEATABLE READ), unless this transaction has already done so. SQLite has one writer at a time.
"""

from sqlalchemy import Connection, Table, event, text
from sqlalchemy.exc import IntegrityError

from models import stamp
from models.base import Base
from models.occupation import Occupation

CAPACITY = "occupation_capacity"
EXCLUSION = "occupation_exclusion"
UNITS = "instrument_units"

_OVER = """
SELECT 1 FROM occupation p
 WHERE p.instrument_id = NEW.instrument_id AND p.starts_at >= NEW.starts_at AND p.starts_at < NEW.ends_at
   AND (SELECT SUM(o.quantity) FROM occupation o
         WHERE o.instrument_id = NEW.instrument_id AND o.starts_at <= p.starts_at AND o.ends_at > p.starts_at)
     > (SELECT units FROM instrument WHERE id = NEW.instrument_id)
"""
_GROWS = """NOT NEW.imposed AND (OLD.imposed OR NEW.instrument_id <> OLD.instrument_id
 OR NEW.starts_at < OLD.starts_at OR NEW.ends_at > OLD.ends_at OR NEW.quantity > OLD.quantity)"""
_FEWER = """
SELECT 1 FROM occupation p
 WHERE p.instrument_id = NEW.id AND NOT p.imposed AND p.ends_at > {now}
   AND (SELECT SUM(o.quantity) FROM occupation o
         WHERE o.instrument_id = NEW.id AND o.starts_at <= p.starts_at AND o.ends_at > p.starts_at) > NEW.units
"""

SQLITE: dict[str, tuple[str, ...]] = {
    "occupation_capacity_insert": (
        f"""CREATE TRIGGER occupation_capacity_insert AFTER INSERT ON occupation WHEN NOT NEW.imposed BEGIN
 SELECT RAISE(ABORT, '{CAPACITY}') WHERE EXISTS ({_OVER}); END""",
    ),
    "occupation_capacity_update": (
        f"""CREATE TRIGGER occupation_capacity_update AFTER UPDATE ON occupation WHEN {_GROWS} BEGIN
 SELECT RAISE(ABORT, '{CAPACITY}') WHERE EXISTS ({_OVER}); END""",
    ),
    "instrument_units": (
        f"""CREATE TRIGGER instrument_units AFTER UPDATE OF units ON instrument WHEN NEW.units < OLD.units BEGIN
 SELECT RAISE(ABORT, '{UNITS}')
  WHERE EXISTS ({_FEWER.format(now="strftime('%Y-%m-%d %H:%M:%f', 'now')")}); END""",
    ),
    **stamp.SQLITE,
}

POSTGRESQL: dict[str, tuple[str, ...]] = {
    "occupation_lock": (
        """CREATE OR REPLACE FUNCTION occupation_lock() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE place integer; BEGIN
 IF TG_OP = 'DELETE' THEN place := OLD.instrument_id; ELSE place := NEW.instrument_id; END IF;
 IF NOT EXISTS (SELECT 1 FROM instrument WHERE id = place AND xmin = pg_current_xact_id()::xid) THEN
  UPDATE instrument SET revision = revision + 1 WHERE id = place;
 END IF;
 IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
 RETURN NEW; END $$""",
        """CREATE TRIGGER occupation_lock BEFORE INSERT OR UPDATE OR DELETE ON occupation
 FOR EACH ROW EXECUTE FUNCTION occupation_lock()""",
    ),
    "occupation_capacity_insert": (
        f"""CREATE OR REPLACE FUNCTION occupation_capacity() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
 IF EXISTS ({_OVER}) THEN
  RAISE EXCEPTION '{CAPACITY}' USING ERRCODE = '23P01', CONSTRAINT = '{CAPACITY}';
 END IF; RETURN NULL; END $$""",
        """CREATE CONSTRAINT TRIGGER occupation_capacity_insert AFTER INSERT ON occupation
 DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW WHEN (NOT NEW.imposed) EXECUTE FUNCTION occupation_capacity()""",
    ),
    "occupation_capacity_update": (
        f"""CREATE CONSTRAINT TRIGGER occupation_capacity_update AFTER UPDATE ON occupation
 DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW WHEN ({_GROWS}) EXECUTE FUNCTION occupation_capacity()""",
    ),
    "instrument_units": (
        f"""CREATE OR REPLACE FUNCTION instrument_units() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
 IF EXISTS ({_FEWER.format(now="now()")}) THEN
  RAISE EXCEPTION '{UNITS}' USING ERRCODE = '23P01', CONSTRAINT = '{UNITS}';
 END IF; RETURN NULL; END $$""",
        """CREATE TRIGGER instrument_units AFTER UPDATE OF units ON instrument
 FOR EACH ROW WHEN (NEW.units < OLD.units) EXECUTE FUNCTION instrument_units()""",
    ),
    EXCLUSION: (
        f"""ALTER TABLE occupation ADD CONSTRAINT {EXCLUSION} EXCLUDE USING gist
 (instrument_id WITH =, tstzrange(starts_at, ends_at, '[)') WITH &&) WHERE (exclusive)""",
    ),
    **stamp.POSTGRESQL,
}

_EXISTING = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": """SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'
 UNION ALL SELECT conname FROM pg_constraint WHERE contype = 'x'""",
}


def guards(dialect: str) -> dict[str, tuple[str, ...]]:
    """Give every guard of the engine by name, with the statements that make it."""
    return SQLITE if dialect == "sqlite" else POSTGRESQL


def missing(connection: Connection) -> list[str]:
    """Give the names of the guards that the database lacks."""
    dialect = connection.dialect.name
    found = set(connection.execute(text(_EXISTING[dialect])).scalars())
    return sorted(set(guards(dialect)) - found)


def create(connection: Connection) -> None:
    """Make every guard that the database lacks; what happened meanwhile gets another stamp."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS btree_gist")
    stamped = connection.dialect.has_table(connection, stamp.Stamp.__tablename__)
    for name in missing(connection):
        if name.startswith(stamp.PREFIX) and not stamped:  # a migration before there were stamps
            continue
        for statement in guards(connection.dialect.name)[name]:
            connection.exec_driver_sql(
                statement.replace("%", "%%") if connection.dialect.name == "postgresql" else statement
            )
    for statement in stamp.DRAWN[connection.dialect.name] if stamped else ():
        connection.exec_driver_sql(statement)


def drop(connection: Connection) -> None:
    """Take away the triggers, so that a migration may rebuild their tables; `create` must follow."""
    dialect = connection.dialect.name
    found = set(connection.execute(text(_EXISTING[dialect])).scalars())
    for name in sorted(found & set(guards(dialect)) - {EXCLUSION}):
        on = "" if dialect == "sqlite" else f" ON {_table(name)}"
        connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")


def _table(name: str) -> str:
    if name.startswith(stamp.PREFIX):
        return name.removeprefix(stamp.PREFIX)
    return "instrument" if name == UNITS else "occupation"


def overbooked(error: IntegrityError) -> str | None:
    """Tell which guard refused, or None when the error is another fault."""
    orig = error.orig
    if getattr(orig, "sqlstate", None) == "23P01":
        name = getattr(getattr(orig, "diag", None), "constraint_name", None)
        return name if name in {CAPACITY, EXCLUSION, UNITS} else None
    if getattr(orig, "sqlite_errorname", None) == "SQLITE_CONSTRAINT_TRIGGER":
        return next((name for name in (CAPACITY, UNITS) if name in str(orig)), None)
    return None


def _after_create(_target: Table, connection: Connection, **_: object) -> None:
    create(connection)


event.listen(Base.metadata, "after_create", _after_create)
__all__ = [
    "CAPACITY",
    "EXCLUSION",
    "UNITS",
    "Occupation",
    "create",
    "drop",
    "guards",
    "missing",
    "overbooked",
]

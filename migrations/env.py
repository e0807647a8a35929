"""Runs migrations with the guards of the ledger taken away before and put back after, in one transaction."""

from alembic import context

from booking.db import make_engine
from models import Base, guards
from models.words import INDEX


def run() -> None:
    engine = make_engine(context.config.attributes["url"], foreign_keys=False, statement_timeout_ms=0)
    try:
        with engine.execution_options(write=True).connect() as connection:
            context.configure(
                connection=connection,
                target_metadata=Base.metadata,
                render_as_batch=connection.dialect.name == "sqlite",
                transactional_ddl=True,
                compare_type=True,
                include_name=lambda name, *_: name != INDEX,
            )
            with context.begin_transaction():
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
                # A batch rebuild drops triggers in silence, and triggers stop a rebuild of their tables.
                guards.drop(connection)
                context.run_migrations()
                if connection.dialect.has_table(connection, "occupation"):
                    guards.create(connection)
                if connection.dialect.name == "sqlite":
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                    if broken:
                        raise RuntimeError(f"rows that point nowhere: {broken[:5]}")
            connection.commit()
    finally:
        engine.dispose()


run()

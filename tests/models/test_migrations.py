"""Migrations make what the models say, go both ways, and keep the guards through rebuilt tables."""

from pathlib import Path

import alembic
import pytest
from alembic import command
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from booking import db
from booking.db import alembic_config, make_engine
from models import Base, Instrument, InstrumentText, guards
from models.words import holding
from tests.factories import make_instrument

REBUILD = """
import alembic
from alembic import op
import sqlalchemy as sa
revision = "rebuild"
down_revision = {head!r}
def upgrade():
    for table in ("instrument", "occupation"):
        with op.batch_alter_table(table, recreate="auto") as batch:
            batch.add_column(sa.Column("extra", sa.Integer(), nullable=False, server_default="0"))
            batch.alter_column("units" if table == "instrument" else "quantity", type_=sa.BigInteger())
def downgrade():
    pass
"""


def test_models_and_migrations_make_one_schema(database_url):
    command.check(alembic_config(database_url))


def test_there_is_one_head():
    script = alembic.script.ScriptDirectory.from_config(alembic_config("sqlite://"))
    assert len(script.get_heads()) == 1


def test_down_to_nothing_and_up_again(database_url):
    db.downgrade(database_url, "base")
    engine = make_engine(database_url)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    db.upgrade(database_url)
    assert set(inspect(engine).get_table_names()) >= set(Base.metadata.tables)
    with engine.connect() as connection:
        assert guards.missing(connection) == []
    engine.dispose()


def test_texts_that_are_there_before_their_index_are_found_by_it(database_url):
    engine = make_engine(database_url)
    with Session(engine.execution_options(write=True)) as session:
        place = make_instrument(session, name_zh="扫描电子显微镜").id
        session.commit()
    engine.dispose()
    db.downgrade(database_url, "0027")
    db.upgrade(database_url)
    with engine.connect() as connection:
        for word in ("显微镜", "镜", "xianweijing", "xwj"):
            wanted = select(InstrumentText.instrument_id).where(*holding([word]))
            assert list(connection.scalars(wanted)) == [place], word
        assert not list(connection.scalars(select(InstrumentText.instrument_id).where(*holding(["光刻机"]))))
    engine.dispose()


def test_a_migration_that_rebuilds_tables_keeps_rows_and_guards(database_url, tmp_path: Path):
    engine = make_engine(database_url)
    with Session(engine.execution_options(write=True)) as session:
        code = make_instrument(session).code
        session.commit()
    config = alembic_config(database_url)
    head = alembic.script.ScriptDirectory.from_config(config).get_current_head()
    (tmp_path / "rebuild.py").write_text(REBUILD.format(head=head))
    config.set_main_option("version_locations", f"{db.MIGRATIONS / 'versions'} {tmp_path}")
    config.set_main_option("path_separator", "space")
    command.upgrade(config, "rebuild")
    with engine.connect() as connection:
        assert guards.missing(connection) == []
        assert connection.scalar(select(Instrument.code)) == code
        assert connection.scalar(text("SELECT extra FROM instrument")) == 0
        found = guards._EXISTING[connection.dialect.name]
        assert set(guards.guards(connection.dialect.name)) <= set(connection.execute(text(found)).scalars())
    engine.dispose()


def test_a_migration_that_fails_leaves_all_as_it_was(database_url, tmp_path: Path):
    config = alembic_config(database_url)
    head = alembic.script.ScriptDirectory.from_config(config).get_current_head()
    broken = REBUILD.replace("def downgrade", "    raise RuntimeError('no')\ndef downgrade").format(head=head)
    (tmp_path / "rebuild.py").write_text(broken)
    config.set_main_option("version_locations", f"{db.MIGRATIONS / 'versions'} {tmp_path}")
    config.set_main_option("path_separator", "space")
    with pytest.raises(RuntimeError, match="no"):
        command.upgrade(config, "rebuild")
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert guards.missing(connection) == []
        assert "extra" not in {column["name"] for column in inspect(connection).get_columns("instrument")}
    engine.dispose()

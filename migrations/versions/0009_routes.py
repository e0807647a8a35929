"""Processes in several steps: changeovers between families of work, shared utilities, what an item works on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "changeover",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("before", sa.String(length=60), nullable=False),
        sa.Column("after", sa.String(length=60), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.CheckConstraint("minutes >= 0", name="ck_changeover_minutes"),
        sa.CheckConstraint(
            "(facility_id IS NULL) <> (instrument_id IS NULL)", name="ck_changeover_one_owner"
        ),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_changeover_facility_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_changeover_instrument_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_changeover"),
    )
    op.create_index("ix_changeover_facility", "changeover", ["facility_id", "before", "after"], unique=True)
    op.create_index(
        "ix_changeover_instrument", "changeover", ["instrument_id", "before", "after"], unique=True
    )
    op.create_table(
        "utility",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name_zh", sa.String(length=200), nullable=False),
        sa.Column("name_en", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.CheckConstraint("capacity >= 0", name="ck_utility_capacity"),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_utility_facility_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_utility"),
        sa.UniqueConstraint("facility_id", "code", name="uq_utility_facility_id_code"),
    )
    op.add_column("booking_item", sa.Column("process", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("booking_item", "process")
    op.drop_table("utility")
    op.drop_table("changeover")

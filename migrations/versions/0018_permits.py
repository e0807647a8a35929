"""Permits without which instruments may not run."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "instrument_permit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("number", sa.String(length=100), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("warned_days", sa.Integer(), nullable=True),
        sa.CheckConstraint("valid_from <= valid_until", name="ck_instrument_permit_days"),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
            name="fk_instrument_permit_instrument_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_instrument_permit_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_instrument_permit"),
        sa.UniqueConstraint(
            "instrument_id", "name", "valid_from", name="uq_instrument_permit_instrument_id_name_valid_from"
        ),
    )
    op.create_index("ix_instrument_permit_valid_until", "instrument_permit", ["valid_until"])


def downgrade() -> None:
    # Bookings that a permit displaced hear nothing more of other places.
    ours = "SELECT id FROM replan WHERE cause = 'permit'"
    op.execute(sa.text(f"DELETE FROM proposal WHERE replan_id IN ({ours})"))  # noqa: S608 - ours
    op.execute(sa.text("DELETE FROM replan WHERE cause = 'permit'"))
    op.drop_table("instrument_permit")

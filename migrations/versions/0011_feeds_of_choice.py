"""Feeds of networks and of several instruments, with choices of their own; news of time that came free."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calendar_link_instrument",
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"],
            ["calendar_link.id"],
            name="fk_calendar_link_instrument_link_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
            name="fk_calendar_link_instrument_instrument_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("link_id", "instrument_id", name="pk_calendar_link_instrument"),
    )
    op.create_index(
        "ix_calendar_link_instrument_instrument_id", "calendar_link_instrument", ["instrument_id"]
    )
    op.create_table(
        "came_free",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("freed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_came_free_instrument_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_came_free"),
    )
    op.create_index("ix_came_free_instrument", "came_free", ["instrument_id", "freed_at"])
    with op.batch_alter_table("calendar_link") as batch_op:
        batch_op.add_column(sa.Column("network_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("name", sa.String(length=100), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("past_days", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("future_days", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("pending", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch_op.add_column(sa.Column("cancelled", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.create_foreign_key("fk_calendar_link_network_id", "network", ["network_id"], ["id"])
        batch_op.create_check_constraint("ck_calendar_link_past_days", "past_days >= 0")
        batch_op.create_check_constraint("ck_calendar_link_future_days", "future_days >= 1")


def downgrade() -> None:
    # What the earlier release does not know is of no use to it.
    op.execute("DELETE FROM calendar_link WHERE scope IN ('network', 'approvals')")
    op.execute("DELETE FROM calendar_link WHERE scope = 'free' AND instrument_id IS NULL")
    with op.batch_alter_table("calendar_link") as batch_op:
        batch_op.drop_constraint("ck_calendar_link_future_days", type_="check")
        batch_op.drop_constraint("ck_calendar_link_past_days", type_="check")
        batch_op.drop_constraint("fk_calendar_link_network_id", type_="foreignkey")
        for name in ("cancelled", "pending", "future_days", "past_days", "name", "network_id"):
            batch_op.drop_column(name)
    op.drop_table("came_free")
    op.drop_table("calendar_link_instrument")

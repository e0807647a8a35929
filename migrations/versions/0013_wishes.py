"""Wishes: of several windows, booked at once, with steps; who makes room for them; regions of organisations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
NOTHING = sa.text("'[]'")


def upgrade() -> None:
    with op.batch_alter_table("booking") as batch_op:
        batch_op.add_column(sa.Column("makes_room", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        "organisation", sa.Column("region_code", sa.String(length=6), nullable=False, server_default="")
    )
    op.add_column("waitlist_entry", sa.Column("windows", JSON, nullable=False, server_default=NOTHING))
    for name in ("at_once", "may_move"):
        op.add_column(
            "waitlist_entry", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        )
    op.add_column("waitlist_entry", sa.Column("reasons", JSON, nullable=False, server_default=NOTHING))
    op.add_column("round_share", sa.Column("region_code", sa.String(length=6), nullable=True))
    op.add_column("round_pin", sa.Column("following", JSON, nullable=False, server_default=NOTHING))
    op.create_table(
        "round_wish_step",
        sa.Column("wish_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("lag_least", sa.Integer(), nullable=False),
        sa.Column("lag_most", sa.Integer(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("position >= 1 AND minutes >= 1", name="ck_round_wish_step_figures"),
        sa.CheckConstraint("lag_least >= 0 AND lag_least <= lag_most", name="ck_round_wish_step_lag"),
        sa.ForeignKeyConstraint(
            ["wish_id"], ["round_wish.id"], name="fk_round_wish_step_wish_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_round_wish_step_instrument_id"
        ),
        sa.PrimaryKeyConstraint("wish_id", "position", name="pk_round_wish_step"),
    )
    op.create_table(
        "round_step_instrument",
        sa.Column("wish_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["wish_id", "position"],
            ["round_wish_step.wish_id", "round_wish_step.position"],
            name="fk_round_step_instrument_wish_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_round_step_instrument_instrument_id"
        ),
        sa.PrimaryKeyConstraint("wish_id", "position", "instrument_id", name="pk_round_step_instrument"),
    )
    op.create_index("ix_round_step_instrument_instrument_id", "round_step_instrument", ["instrument_id"])


def downgrade() -> None:
    op.drop_table("round_step_instrument")
    op.drop_table("round_wish_step")
    op.drop_column("round_pin", "following")
    op.drop_column("round_share", "region_code")
    for name in ("reasons", "may_move", "at_once", "windows"):
        op.drop_column("waitlist_entry", name)
    op.drop_column("organisation", "region_code")
    with op.batch_alter_table("booking") as batch_op:
        batch_op.drop_column("makes_room")

"""Replans: what is proposed to those whose bookings an outage displaces, and what they agreed to beforehand."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("closure_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("chosen", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["closure_id"], ["closure.id"], name="fk_replan_closure_id"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_replan_created_by"),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name="fk_replan_facility_id"),
        sa.ForeignKeyConstraint(["run_id"], ["solver_run.id"], name="fk_replan_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_replan"),
        sa.UniqueConstraint("closure_id", name="uq_replan_closure_id"),
    )
    op.create_index("ix_replan_facility_id_state", "replan", ["facility_id", "state"])
    op.create_table(
        "proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("replan_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("by_agreement", sa.Boolean(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("booking_sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.String(length=100), nullable=False),
        sa.CheckConstraint(
            "(kind = 'no_place') = (instrument_id IS NULL) AND (instrument_id IS NULL) = (starts_at IS NULL)",
            name="ck_proposal_place",
        ),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_proposal_booking_id"),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name="fk_proposal_hold_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_proposal_instrument_id"),
        sa.ForeignKeyConstraint(
            ["replan_id"], ["replan.id"], name="fk_proposal_replan_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_proposal"),
        sa.UniqueConstraint("replan_id", "number", name="uq_proposal_replan_id_number"),
    )
    op.create_index(
        "ix_proposal_deadline",
        "proposal",
        ["deadline"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_proposal_open",
        "proposal",
        ["booking_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_proposal_replan_id", "proposal", ["replan_id"])
    with op.batch_alter_table("booking") as batch_op:
        batch_op.add_column(sa.Column("may_move", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(
            sa.Column("if_silent", sa.String(length=32), nullable=False, server_default="stay")
        )


def downgrade() -> None:
    with op.batch_alter_table("booking") as batch_op:
        batch_op.drop_column("if_silent")
        batch_op.drop_column("may_move")
    op.drop_table("proposal")
    op.drop_table("replan")

"""Rounds, which allot the time of some days to all wishes at once, and runs of the solver."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "solver_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("stop_asked", sa.Boolean(), nullable=False),
        sa.Column("phase", sa.String(length=40), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("objective", sa.BigInteger(), nullable=True),
        sa.Column("bound", sa.BigInteger(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("names", JSON, nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["asked_by"], ["person.id"], name="fk_solver_run_asked_by"),
        sa.PrimaryKeyConstraint("id", name="pk_solver_run"),
    )
    op.create_index(
        "ix_solver_run_open",
        "solver_run",
        ["asked_at"],
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index("ix_solver_run_subject", "solver_run", ["subject"])
    op.create_table(
        "round",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("cap_minutes", sa.Integer(), nullable=True),
        sa.Column("budget", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("reserve_percent", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("draft_run_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("first_day <= last_day AND opens_at < closes_at", name="ck_round_order"),
        sa.CheckConstraint("reserve_percent BETWEEN 0 AND 50", name="ck_round_reserve"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_round_created_by"),
        sa.ForeignKeyConstraint(["draft_run_id"], ["solver_run.id"], name="fk_round_draft_run_id"),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name="fk_round_facility_id"),
        sa.PrimaryKeyConstraint("id", name="pk_round"),
    )
    op.create_index("ix_round_facility_id_state", "round", ["facility_id", "state"])
    op.create_table(
        "round_share",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_kind", sa.String(length=32), nullable=False),
        sa.Column("category_code", sa.String(length=12), nullable=True),
        sa.Column("floor_minutes", sa.Integer(), nullable=True),
        sa.Column("annual_minutes", sa.Integer(), nullable=True),
        sa.Column("rounds_left", sa.Integer(), nullable=False),
        sa.Column("subsidy_percent", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "floor_minutes IS NULL OR annual_minutes IS NULL", name="ck_round_share_one_promise"
        ),
        sa.CheckConstraint("rounds_left >= 1", name="ck_round_share_rounds"),
        sa.CheckConstraint("subsidy_percent BETWEEN 0 AND 100", name="ck_round_share_subsidy"),
        sa.ForeignKeyConstraint(
            ["round_id"], ["round.id"], name="fk_round_share_round_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_round_share"),
    )
    op.create_index("ix_round_share_round_id", "round_share", ["round_id"])
    op.create_table(
        "round_wish",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("window_starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("may_move", sa.Boolean(), nullable=False),
        sa.Column("keep_waiting", sa.Boolean(), nullable=False),
        sa.Column("purpose", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("priority BETWEEN 1 AND 4", name="ck_round_wish_priority"),
        sa.CheckConstraint(
            "window_starts_at < window_ends_at AND minutes >= 1", name="ck_round_wish_figures"
        ),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_round_wish_booking_id"),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_round_wish_instrument_id"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_round_wish_organisation_id"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_round_wish_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_round_wish_project_id"),
        sa.ForeignKeyConstraint(
            ["round_id"], ["round.id"], name="fk_round_wish_round_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_round_wish"),
    )
    op.create_index("ix_round_wish_person_id", "round_wish", ["person_id"])
    op.create_index("ix_round_wish_round_id_state", "round_wish", ["round_id", "state"])
    op.create_table(
        "round_pin",
        sa.Column("wish_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'place') = (instrument_id IS NOT NULL AND starts_at IS NOT NULL)",
            name="ck_round_pin_place",
        ),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_round_pin_instrument_id"),
        sa.ForeignKeyConstraint(["made_by"], ["person.id"], name="fk_round_pin_made_by"),
        sa.ForeignKeyConstraint(
            ["wish_id"], ["round_wish.id"], name="fk_round_pin_wish_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("wish_id", name="pk_round_pin"),
    )
    op.create_table(
        "round_wish_instrument",
        sa.Column("wish_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_round_wish_instrument_instrument_id"
        ),
        sa.ForeignKeyConstraint(
            ["wish_id"], ["round_wish.id"], name="fk_round_wish_instrument_wish_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("wish_id", "instrument_id", name="pk_round_wish_instrument"),
    )
    op.create_index("ix_round_wish_instrument_instrument_id", "round_wish_instrument", ["instrument_id"])


def downgrade() -> None:
    for table in ("round_wish_instrument", "round_pin", "round_wish", "round_share", "round", "solver_run"):
        op.drop_table(table)

"""Calendars kept elsewhere whose busy time takes instruments, and what files of calendars brought."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
ASKED = sa.text("paused_at IS NULL AND removed_at IS NULL")
BLOCKED = sa.text("source_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "calendar_source",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("means", sa.String(length=32), nullable=False),
        sa.Column("transparent", sa.Boolean(), nullable=False),
        sa.Column("floating_zone", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.String(length=40), nullable=False),
        sa.Column("figure", sa.String(length=40), nullable=False),
        sa.Column("failure_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("etag", sa.String(length=300), nullable=False),
        sa.Column("modified", sa.String(length=100), nullable=False),
        sa.Column("copy", sa.LargeBinary(), nullable=True),
        sa.Column("cut", sa.Boolean(), nullable=False),
        sa.Column("problems", sa.Integer(), nullable=False),
        sa.Column("held_back", sa.Integer(), nullable=True),
        sa.Column("accept_fewer", sa.Boolean(), nullable=False),
        sa.Column("told", JSON, nullable=True),
        sa.Column("replan_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("removed_at IS NULL OR url = ''", name="ck_calendar_source_removed"),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name="fk_calendar_source_facility_id"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_calendar_source_created_by"),
        sa.ForeignKeyConstraint(
            ["replan_id"], ["replan.id"], name="fk_calendar_source_replan_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_source"),
    )
    op.create_index("ix_calendar_source_facility_id", "calendar_source", ["facility_id"])
    op.create_index(
        "ix_calendar_source_due", "calendar_source", ["next_at"], sqlite_where=ASKED, postgresql_where=ASKED
    )
    op.create_table(
        "calendar_source_instrument",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["calendar_source.id"],
            name="fk_calendar_source_instrument_source_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_calendar_source_instrument_instrument_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "instrument_id", name="pk_calendar_source_instrument"),
    )
    op.create_index(
        "ix_calendar_source_instrument_instrument_id", "calendar_source_instrument", ["instrument_id"]
    )
    op.create_table(
        "outside_event",
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("all_day", sa.Boolean(), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name="ck_outside_event_span"),
        sa.ForeignKeyConstraint(
            ["source_id"], ["calendar_source.id"], name="fk_outside_event_source_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source_id", "key", name="pk_outside_event"),
    )
    op.create_index("ix_outside_event_starts", "outside_event", ["source_id", "starts_at"])
    op.create_table(
        "imported_event",
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("closure_id", sa.Uuid(), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(booking_id IS NULL) <> (closure_id IS NULL)", name="ck_imported_event_became"),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_imported_event_instrument_id"),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_imported_event_booking_id"),
        sa.ForeignKeyConstraint(["closure_id"], ["closure.id"], name="fk_imported_event_closure_id"),
        sa.PrimaryKeyConstraint("instrument_id", "key", name="pk_imported_event"),
    )
    op.create_index("ix_imported_event_booking_id", "imported_event", ["booking_id"])
    op.create_index("ix_imported_event_closure_id", "imported_event", ["closure_id"])
    with op.batch_alter_table("occupation") as batch_op:
        batch_op.add_column(sa.Column("source_id", sa.Uuid(), nullable=True))
        batch_op.create_index(
            "ix_occupation_source", ["source_id"], sqlite_where=BLOCKED, postgresql_where=BLOCKED
        )
        batch_op.create_foreign_key("fk_occupation_source_id", "calendar_source", ["source_id"], ["id"])


def downgrade() -> None:
    # Busy time that nothing says any more would stand for ever.
    op.execute(sa.text("DELETE FROM occupation WHERE source_id IS NOT NULL"))
    with op.batch_alter_table("occupation") as batch_op:
        batch_op.drop_constraint("fk_occupation_source_id", type_="foreignkey")
        batch_op.drop_index("ix_occupation_source", sqlite_where=BLOCKED, postgresql_where=BLOCKED)
        batch_op.drop_column("source_id")
    op.drop_table("imported_event")
    op.drop_table("outside_event")
    op.drop_table("calendar_source_instrument")
    op.drop_table("calendar_source")

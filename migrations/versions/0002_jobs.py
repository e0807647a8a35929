"""Jobs: the lease, the last runs, reminders, and indexes for what the jobs look for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_lease",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_lease")),
    )
    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_run")),
    )
    op.create_table(
        "reminder",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name=op.f("fk_reminder_booking_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("booking_id", "starts_at", "minutes", name=op.f("pk_reminder")),
    )
    _partial_index("ix_reminder_due", "reminder", "due_at", "done_at IS NULL")
    _partial_index("ix_booking_requested", "booking", "starts_at", "state = 'requested'")
    _partial_index("ix_occupation_expires", "occupation", "expires_at", "expires_at IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_occupation_expires", table_name="occupation")
    op.drop_index("ix_booking_requested", table_name="booking")
    op.drop_table("reminder")
    op.drop_table("job_run")
    op.drop_table("job_lease")


def _partial_index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))

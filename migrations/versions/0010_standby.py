"""Standby: how soon somebody could be there, how much they would use, since when they are there; draws of holds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("waitlist_entry", sa.Column("lead_minutes", sa.Integer(), nullable=True))
    op.add_column("waitlist_entry", sa.Column("most_minutes", sa.Integer(), nullable=True))
    op.add_column("waitlist_entry", sa.Column("here_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("hold", sa.Column("draws", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("hold", "draws")
    op.drop_column("waitlist_entry", "here_at")
    op.drop_column("waitlist_entry", "most_minutes")
    op.drop_column("waitlist_entry", "lead_minutes")

"""Indexes that tell calendar feeds whether anything in them changed."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_booking_person", table_name="booking")
    op.create_index("ix_booking_person", "booking", ["person_id", "starts_at", "version"])
    op.create_index("ix_instrument_updated_at", "instrument", ["updated_at"])


def downgrade() -> None:
    op.drop_index("ix_instrument_updated_at", table_name="instrument")
    op.drop_index("ix_booking_person", table_name="booking")
    op.create_index("ix_booking_person", "booking", ["person_id", "starts_at"])

"""Rounds: what counts how much. The waitlist: wishes by ability, and processes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("round", sa.Column("weights", JSON, nullable=False, server_default=sa.text("'{}'")))
    op.add_column(
        "waitlist_entry", sa.Column("filters", JSON, nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column("waitlist_entry", sa.Column("steps", JSON, nullable=False, server_default=sa.text("'[]'")))
    op.add_column(
        "waitlist_offer", sa.Column("following", JSON, nullable=False, server_default=sa.text("'[]'"))
    )


def downgrade() -> None:
    # Bookings that several closures displaced together hear nothing more of other places.
    ours = "SELECT id FROM replan WHERE cause = 'closures'"
    op.execute(sa.text(f"DELETE FROM proposal WHERE replan_id IN ({ours})"))  # noqa: S608 - ours
    op.execute(sa.text("DELETE FROM replan WHERE cause = 'closures'"))
    op.drop_column("waitlist_offer", "following")
    op.drop_column("waitlist_entry", "steps")
    op.drop_column("waitlist_entry", "filters")
    op.drop_column("round", "weights")

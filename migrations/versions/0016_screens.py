"""Screens on walls, beside the tablets at instruments: what a kiosk is, and how it looks."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("kiosk", sa.Column("kind", sa.String(length=32), nullable=False, server_default="tablet"))
    op.add_column("kiosk", sa.Column("look", sa.String(length=32), nullable=False, server_default="auto"))


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM kiosk WHERE kind = 'screen'"))  # its address would open a tablet
    op.drop_column("kiosk", "look")
    op.drop_column("kiosk", "kind")

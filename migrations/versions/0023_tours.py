"""Who was shown round; those who are here already know their way."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("person", sa.Column("toured_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(sa.text("UPDATE person SET toured_at = created_at"))


def downgrade() -> None:
    op.drop_column("person", "toured_at")

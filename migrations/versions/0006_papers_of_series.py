"""Papers that are for many dates of a series: beside each of them, with the content kept once."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("booking_paper") as batch_op:
        batch_op.add_column(sa.Column("same_as", sa.Uuid(), nullable=True))
        batch_op.create_foreign_key("fk_booking_paper_same_as", "booking_paper", ["same_as"], ["id"])
        batch_op.create_index("ix_booking_paper_same_as", ["same_as"])


def downgrade() -> None:
    # Each paper has its content again before the column goes.
    op.execute(
        sa.text(
            "UPDATE booking_paper SET content = (SELECT original.content FROM booking_paper AS original"
            " WHERE original.id = booking_paper.same_as) WHERE same_as IS NOT NULL"
        )
    )
    with op.batch_alter_table("booking_paper") as batch_op:
        batch_op.drop_index("ix_booking_paper_same_as")
        batch_op.drop_constraint("fk_booking_paper_same_as", type_="foreignkey")
        batch_op.drop_column("same_as")

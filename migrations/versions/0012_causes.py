"""Replans begun by more than closures, proposals in several parts, and the day by which a booking is needed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
BY_CLOSURE = "(cause = 'closure') = (closure_id IS NOT NULL)"


def upgrade() -> None:
    op.add_column("booking", sa.Column("needed_by", sa.Date(), nullable=True))
    op.add_column("proposal", sa.Column("parts", JSON, nullable=True))
    op.add_column("proposal", sa.Column("before", JSON, nullable=True))
    with op.batch_alter_table("replan") as batch_op:
        batch_op.add_column(
            sa.Column("cause", sa.String(length=32), nullable=False, server_default="closure")
        )
        batch_op.add_column(sa.Column("struck", JSON, nullable=True))
        batch_op.alter_column("closure_id", existing_type=sa.Uuid(), nullable=True)
        batch_op.create_check_constraint("ck_replan_cause", BY_CLOSURE)


def downgrade() -> None:
    # What no closure began cannot be kept: its people hear nothing more of it.
    other = "SELECT id FROM replan WHERE cause <> 'closure'"
    op.execute(sa.text(f"DELETE FROM proposal WHERE replan_id IN ({other}) OR kind = 'split'"))  # noqa: S608 - ours
    op.execute(sa.text("DELETE FROM replan WHERE cause <> 'closure'"))
    with op.batch_alter_table("replan") as batch_op:
        batch_op.drop_constraint("ck_replan_cause", type_="check")
        batch_op.alter_column("closure_id", existing_type=sa.Uuid(), nullable=False)
        batch_op.drop_column("struck")
        batch_op.drop_column("cause")
    op.drop_column("proposal", "before")
    op.drop_column("proposal", "parts")
    op.drop_column("booking", "needed_by")

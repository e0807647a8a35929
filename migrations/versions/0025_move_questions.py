"""Who asks whether a booking may be moved, where it is not its owner's calendar."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calendar_question") as batch_op:
        batch_op.add_column(sa.Column("asked_by", sa.Uuid(), nullable=True))
        batch_op.create_foreign_key("fk_calendar_question_asked_by", "person", ["asked_by"], ["id"])


def downgrade() -> None:
    # No version before knows what a facility asks: to it a calendar would have said so.
    op.execute(sa.text("DELETE FROM calendar_question WHERE asked_by IS NOT NULL"))
    with op.batch_alter_table("calendar_question") as batch_op:
        batch_op.drop_constraint("fk_calendar_question_asked_by", type_="foreignkey")
        batch_op.drop_column("asked_by")

"""Until when a facility waits for an answer whether a booking may be moved, and the time that is held for it."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

OPEN = sa.text("state = 'open' AND asked_by IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("calendar_question") as batch_op:
        batch_op.add_column(sa.Column("answer_by", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("hold_id", sa.Uuid(), nullable=True))
        batch_op.create_foreign_key(
            "fk_calendar_question_hold_id", "hold", ["hold_id"], ["id"], ondelete="SET NULL"
        )
        batch_op.create_index(
            "ix_calendar_question_by_staff", ["answer_by"], sqlite_where=OPEN, postgresql_where=OPEN
        )


def downgrade() -> None:
    # No version before knows these states.
    op.execute(sa.text("UPDATE calendar_question SET state = 'over' WHERE state IN ('withdrawn', 'lapsed')"))
    with op.batch_alter_table("calendar_question") as batch_op:
        batch_op.drop_index("ix_calendar_question_by_staff", sqlite_where=OPEN, postgresql_where=OPEN)
        batch_op.drop_constraint("fk_calendar_question_hold_id", type_="foreignkey")
        batch_op.drop_column("hold_id")
        batch_op.drop_column("answer_by")

"""Invitations by mail, what calendars answer, and meetings to which instruments are invited."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(length=20), nullable=False),
        sa.Column("answer_sequence", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name="fk_invitation_booking_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_invitation_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("booking_id", "person_id", "position", name="pk_invitation"),
    )
    op.create_index("ix_invitation_person", "invitation", ["person_id"])
    op.create_table(
        "calendar_question",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("booking_sequence", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'countered') = (starts_at IS NOT NULL) AND (starts_at IS NULL) = (ends_at IS NULL)",
            name="ck_calendar_question_span",
        ),
        sa.CheckConstraint("starts_at IS NULL OR starts_at < ends_at", name="ck_calendar_question_order"),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name="fk_calendar_question_booking_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_calendar_question_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_question"),
    )
    op.create_index("ix_calendar_question_person_id", "calendar_question", ["person_id"])
    op.create_index(
        "ix_calendar_question_open",
        "calendar_question",
        ["booking_id", "person_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "meeting",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=255), nullable=False),
        sa.Column("recurrence", sa.String(length=20), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organizer", sa.String(length=300), nullable=False),
        sa.Column("attendee", sa.String(length=300), nullable=False),
        sa.Column("summary", sa.String(length=300), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_meeting_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_meeting_instrument_id"),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name="fk_meeting_booking_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_meeting"),
        sa.UniqueConstraint(
            "person_id", "instrument_id", "uid", "recurrence",
            name="uq_meeting_person_id_instrument_id_uid_recurrence",
        ),
    )  # fmt: skip
    op.create_index(
        "ix_meeting_booking",
        "meeting",
        ["booking_id"],
        sqlite_where=sa.text("booking_id IS NOT NULL"),
        postgresql_where=sa.text("booking_id IS NOT NULL"),
    )
    op.create_table(
        "mail_secret",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_mail_secret_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", name="pk_mail_secret"),
    )
    op.create_table(
        "inbound_mail",
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_inbound_mail"),
    )
    op.create_index("ix_inbound_mail_received_at", "inbound_mail", ["received_at"])


def downgrade() -> None:
    op.drop_table("inbound_mail")
    op.drop_table("mail_secret")
    op.drop_table("meeting")
    op.drop_table("calendar_question")
    op.drop_table("invitation")

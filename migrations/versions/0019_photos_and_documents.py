"""Photos and documents of instruments, facilities that are withdrawn, and the way to what was changed at a place."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("facility", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "instrument_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("sort", sa.String(length=32), nullable=False),
        sa.Column("title_zh", sa.String(length=300), nullable=False),
        sa.Column("title_en", sa.String(length=300), nullable=False),
        sa.Column("audience", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("small", sa.LargeBinary(), nullable=True),
        sa.Column("small_type", sa.String(length=100), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_instrument_file_instrument_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"], name="fk_instrument_file_added_by"),
        sa.PrimaryKeyConstraint("id", name="pk_instrument_file"),
    )
    op.create_index(
        "ix_instrument_file_instrument_id", "instrument_file", ["instrument_id", "sort", "position"]
    )
    of_places = sa.text("booking_id IS NULL")
    op.create_index(
        "ix_event_facility",
        "event",
        ["facility_id", "id"],
        sqlite_where=of_places,
        postgresql_where=of_places,
    )


def downgrade() -> None:
    op.drop_index("ix_event_facility", "event")
    op.drop_table("instrument_file")
    op.drop_column("facility", "withdrawn_at")

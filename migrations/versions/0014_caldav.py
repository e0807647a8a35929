"""Calendars as CalDAV programs keep them, and by which program a token was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dav_collection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("colour", sa.String(length=20), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("oldest", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.CheckConstraint("oldest <= revision", name="ck_dav_collection_oldest"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_dav_collection_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dav_collection"),
        sa.UniqueConstraint("person_id", "name", name="uq_dav_collection_person_id_name"),
    )
    op.create_table(
        "dav_object",
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("event_uid", sa.String(length=300), nullable=False),
        sa.Column("client_uid", sa.String(length=300), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["dav_collection.id"],
            name="fk_dav_object_collection_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_id", "name", name="pk_dav_object"),
    )
    op.create_index("ix_dav_object_event", "dav_object", ["collection_id", "event_uid"], unique=True)
    op.create_index("ix_dav_object_revision", "dav_object", ["collection_id", "revision"])
    op.add_column("api_token", sa.Column("agent", sa.String(length=300), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("api_token", "agent")
    op.drop_table("dav_object")
    op.drop_table("dav_collection")

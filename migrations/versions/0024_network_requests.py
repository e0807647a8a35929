"""Requests by which facilities join networks."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "network_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("by_facility", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name="fk_network_request_network_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_network_request_facility_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["person.id"], name="fk_network_request_asked_by"),
        sa.ForeignKeyConstraint(["answered_by"], ["person.id"], name="fk_network_request_answered_by"),
        sa.PrimaryKeyConstraint("id", name="pk_network_request"),
    )
    op.create_index(
        "ix_network_request_open",
        "network_request",
        ["network_id", "facility_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_network_request_facility_id", "network_request", ["facility_id"])


def downgrade() -> None:
    op.drop_table("network_request")

"""What networks look like, and announcements."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TEXTS = {"short_zh": 60, "short_en": 60, "accent": 7, "footer_zh": 500, "footer_en": 500, "contact": 300}


def upgrade() -> None:
    op.add_column("network", sa.Column("host", sa.String(length=253), nullable=True))
    for name, length in TEXTS.items():
        op.add_column("network", sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
    op.create_index("ux_network_host", "network", ["host"], unique=True)
    op.create_table(
        "network_logo",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name="fk_network_logo_network_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("network_id", name="pk_network_logo"),
    )
    op.create_table(
        "announcement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("network_id", sa.Integer(), nullable=True),
        sa.Column("level", sa.String(length=32), nullable=False),
        sa.Column("shown", sa.String(length=32), nullable=False),
        sa.Column("audience", sa.String(length=32), nullable=False),
        sa.Column("text_zh", sa.String(length=500), nullable=False),
        sa.Column("text_en", sa.String(length=500), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "facility_id IS NULL OR network_id IS NULL", name=op.f("ck_announcement_one_place")
        ),
        sa.CheckConstraint("ends_at IS NULL OR begins_at < ends_at", name=op.f("ck_announcement_span")),
        sa.CheckConstraint("text_zh <> '' OR text_en <> ''", name=op.f("ck_announcement_said")),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_announcement_facility_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name="fk_announcement_network_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_announcement_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_announcement"),
    )
    op.create_index("ix_announcement_ends_at", "announcement", ["ends_at"])
    op.create_table(
        "announcement_seen",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("announcement_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_announcement_seen_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["announcement_id"],
            ["announcement.id"],
            name="fk_announcement_seen_announcement_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("person_id", "announcement_id", name="pk_announcement_seen"),
    )
    op.create_index("ix_announcement_seen_announcement_id", "announcement_seen", ["announcement_id"])


def downgrade() -> None:
    # No version before knows links by which somebody joins.
    op.execute(sa.text("DELETE FROM one_time_link WHERE purpose = 'join'"))
    op.drop_table("announcement_seen")
    op.drop_table("announcement")
    op.drop_table("network_logo")
    op.drop_index("ux_network_host", "network")
    for name in ("host", *TEXTS):
        op.drop_column("network", name)

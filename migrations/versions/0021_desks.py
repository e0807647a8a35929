"""Favourites, and targets of utilisation."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "favourite",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_favourite_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_favourite_instrument_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", "instrument_id", name="pk_favourite"),
    )
    op.create_index("ix_favourite_instrument_id", "favourite", ["instrument_id"])
    op.create_table(
        "utilisation_target",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("measure", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(facility_id IS NULL) <> (instrument_id IS NULL)", name="ck_utilisation_target_one_place"
        ),
        sa.CheckConstraint("value IS NULL OR value BETWEEN 1 AND 8784", name="ck_utilisation_target_value"),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_utilisation_target_facility_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
            name="fk_utilisation_target_instrument_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_utilisation_target_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_utilisation_target"),
    )
    for place in ("facility", "instrument"):
        set_ = sa.text(f"{place}_id IS NOT NULL")
        op.create_index(
            f"ix_utilisation_target_{place}",
            "utilisation_target",
            [f"{place}_id", "valid_from"],
            unique=True,
            sqlite_where=set_,
            postgresql_where=set_,
        )


def downgrade() -> None:
    op.drop_table("utilisation_target")
    op.drop_table("favourite")

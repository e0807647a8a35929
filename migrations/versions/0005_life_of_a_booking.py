"""The whole life of a booking: rules, qualifications, approvals, series, holds, the waitlist, the day, transfers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "calendar_day",
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("country", "day", name="pk_calendar_day"),
    )
    op.create_table(
        "quota_lock",
        sa.Column("party", sa.String(length=60), nullable=False),
        sa.Column("turns", BIG, nullable=False),
        sa.PrimaryKeyConstraint("party", name="pk_quota_lock"),
    )
    op.create_table(
        "badge",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("number_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("pin_hash", sa.String(length=200), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_badge_person_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person_id", name="pk_badge"),
        sa.UniqueConstraint("number_hash", name="uq_badge_number_hash"),
    )
    op.create_table(
        "delegation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("delegate_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("person_id <> delegate_id", name="ck_delegation_not_oneself"),
        sa.CheckConstraint("starts_at < ends_at", name="ck_delegation_span"),
        sa.ForeignKeyConstraint(
            ["delegate_id"], ["person.id"], name="fk_delegation_delegate_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_delegation_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_delegation"),
    )
    op.create_index("ix_delegation_delegate_id", "delegation", ["delegate_id"])
    op.create_index("ix_delegation_person_id", "delegation", ["person_id"])

    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("offered", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("renewed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_hold_person_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
    )
    op.create_index("ix_hold_expires_at", "hold", ["expires_at"])
    op.create_index(
        "ix_hold_own",
        "hold",
        ["person_id"],
        unique=True,
        sqlite_where=sa.text("NOT offered"),
        postgresql_where=sa.text("NOT offered"),
    )
    op.create_index("ix_hold_person_id", "hold", ["person_id"])

    op.create_table(
        "notice_wish",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("pace", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_notice_wish_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", "topic", "channel", name="pk_notice_wish"),
    )
    op.create_table(
        "quiet_hours",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("begins", sa.Integer(), nullable=False),
        sa.Column("ends", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "begins BETWEEN 0 AND 1439 AND ends BETWEEN 0 AND 1439 AND begins <> ends",
            name="ck_quiet_hours_minutes",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_quiet_hours_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", name="pk_quiet_hours"),
    )
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("secret", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("off_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_webhook_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook"),
        sa.UniqueConstraint("person_id", "kind", name="uq_webhook_person_id_kind"),
    )
    op.create_index("ix_webhook_person_id", "webhook", ["person_id"])

    op.create_table(
        "ban",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("starts_at < ends_at", name="ck_ban_span"),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name="fk_ban_facility_id"),
        sa.ForeignKeyConstraint(["lifted_by"], ["person.id"], name="fk_ban_lifted_by"),
        sa.ForeignKeyConstraint(["made_by"], ["person.id"], name="fk_ban_made_by"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_ban_person_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_ban"),
    )
    op.create_index("ix_ban_facility_id", "ban", ["facility_id"])
    op.create_index("ix_ban_person", "ban", ["person_id", "ends_at"])

    op.create_table(
        "credit_rule",
        sa.Column("id", BIG, nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("deed", sa.String(length=40), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("ban_below", sa.Integer(), nullable=True),
        sa.Column("ban_days", sa.Integer(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="ck_credit_rule_dates"),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_credit_rule_facility_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credit_rule"),
    )
    op.create_index("ix_credit_rule_facility", "credit_rule", ["facility_id"])

    op.create_table(
        "qualification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name_zh", sa.String(length=300), nullable=False),
        sa.Column("name_en", sa.String(length=300), nullable=False),
        sa.Column("about_zh", sa.Text(), nullable=False),
        sa.Column("about_en", sa.Text(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("months IS NULL OR months >= 1", name="ck_qualification_months"),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name="fk_qualification_facility_id"),
        sa.PrimaryKeyConstraint("id", name="pk_qualification"),
        sa.UniqueConstraint("code", name="uq_qualification_code"),
    )
    op.create_index("ix_qualification_facility_id", "qualification", ["facility_id"])

    op.create_table(
        "freed",
        sa.Column("id", BIG, nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("freed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_freed_instrument_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_freed"),
    )
    op.create_index("ix_freed_freed_at", "freed", ["freed_at"])

    op.create_table(
        "kiosk",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_kiosk_created_by"),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_kiosk_facility_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_kiosk_instrument_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_kiosk"),
        sa.UniqueConstraint("secret_hash", name="uq_kiosk_secret_hash"),
    )
    op.create_index("ix_kiosk_facility_id", "kiosk", ["facility_id"])

    op.create_table(
        "rule",
        sa.Column("id", BIG, nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=True),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("category_code", sa.String(length=12), nullable=True),
        sa.Column("instrument_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("data", JSON, nullable=False),
        sa.Column("customer_class", sa.String(length=32), nullable=True),
        sa.Column("day_kind", sa.String(length=32), nullable=True),
        sa.Column("weekdays", sa.Integer(), nullable=True),
        sa.Column("opens", sa.Integer(), nullable=True),
        sa.Column("closes", sa.Integer(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(CASE WHEN network_id IS NULL THEN 0 ELSE 1 END + CASE WHEN facility_id IS NULL THEN 0 ELSE 1 END + CASE WHEN category_code IS NULL THEN 0 ELSE 1 END + CASE WHEN instrument_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="ck_rule_one_place",
        ),
        sa.CheckConstraint(
            "(opens IS NULL) = (closes IS NULL) AND (opens IS NULL OR (opens >= 0 AND opens < closes AND closes <= 1440))",
            name="ck_rule_band",
        ),
        sa.CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="ck_rule_dates"),
        sa.CheckConstraint("value IS NULL OR value >= 0", name="ck_rule_value"),
        sa.CheckConstraint("weekdays IS NULL OR weekdays BETWEEN 1 AND 127", name="ck_rule_weekdays"),
        sa.ForeignKeyConstraint(
            ["category_code"], ["category.code"], name="fk_rule_category_code", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_rule_created_by"),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facility.id"], name="fk_rule_facility_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instrument.id"], name="fk_rule_instrument_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name="fk_rule_network_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rule"),
    )
    op.create_index("ix_rule_category", "rule", ["category_code"])
    op.create_index("ix_rule_facility", "rule", ["facility_id"])
    op.create_index("ix_rule_instrument", "rule", ["instrument_id"])
    op.create_index("ix_rule_network", "rule", ["network_id"])

    op.create_table(
        "series",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=500), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("start_minute", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("skipped", JSON, nullable=False),
        sa.Column("split_from", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_series_instrument_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_series_person_id"),
        sa.ForeignKeyConstraint(["split_from"], ["series.id"], name="fk_series_split_from"),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
    )
    op.create_index("ix_series_instrument_id", "series", ["instrument_id"])
    op.create_index("ix_series_person_id", "series", ["person_id"])

    op.create_table(
        "training_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("qualification_id", sa.Integer(), nullable=False),
        sa.Column("trainer_id", sa.Uuid(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("place", sa.String(length=300), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("seats >= 1", name="ck_training_session_seats"),
        sa.CheckConstraint("starts_at < ends_at", name="ck_training_session_span"),
        sa.ForeignKeyConstraint(
            ["qualification_id"], ["qualification.id"], name="fk_training_session_qualification_id"
        ),
        sa.ForeignKeyConstraint(["trainer_id"], ["person.id"], name="fk_training_session_trainer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_training_session"),
    )
    op.create_index("ix_training_session_qualification_id", "training_session", ["qualification_id"])

    op.create_table(
        "certificate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("qualification_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("granted_on", sa.Date(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("warned_days", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name="fk_certificate_decided_by"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_certificate_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["qualification_id"], ["qualification.id"], name="fk_certificate_qualification_id"
        ),
        sa.ForeignKeyConstraint(["session_id"], ["training_session.id"], name="fk_certificate_session_id"),
        sa.PrimaryKeyConstraint("id", name="pk_certificate"),
    )
    op.create_index("ix_certificate_expires", "certificate", ["expires_on"])
    op.create_index(
        "ix_certificate_open",
        "certificate",
        ["person_id", "qualification_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('requested', 'scheduled')"),
        postgresql_where=sa.text("state IN ('requested', 'scheduled')"),
    )
    op.create_index("ix_certificate_person", "certificate", ["person_id", "qualification_id"])
    op.create_index("ix_certificate_qualification", "certificate", ["qualification_id", "state"])
    op.create_index("ix_certificate_session_id", "certificate", ["session_id"])

    op.create_table(
        "approval_step",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("need", sa.String(length=32), nullable=False),
        sa.Column("conditions", JSON, nullable=False),
        sa.Column("plan", JSON, nullable=False),
        sa.Column("on_silence", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name="fk_approval_step_booking_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name="fk_approval_step_facility_id"),
        sa.PrimaryKeyConstraint("id", name="pk_approval_step"),
    )
    op.create_index("ix_approval_step_booking", "approval_step", ["booking_id", "round", "stage"])
    op.create_index(
        "ix_approval_step_due",
        "approval_step",
        ["due_at"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_approval_step_facility_id", "approval_step", ["facility_id"])

    op.create_table(
        "booking_paper",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("number", sa.String(length=100), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"], name="fk_booking_paper_added_by"),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name="fk_booking_paper_booking_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_booking_paper"),
    )
    op.create_index("ix_booking_paper_booking_id", "booking_paper", ["booking_id"])

    op.create_table(
        "chemical",
        sa.Column("id", BIG, nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("cas", sa.String(length=12), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("unit", sa.String(length=20), nullable=False),
        sa.Column("hazards", JSON, nullable=False),
        sa.Column("permit_number", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["booking.id"], name="fk_chemical_booking_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_chemical"),
        sa.UniqueConstraint("booking_id", "position", name="uq_chemical_booking_id_position"),
    )
    op.create_table(
        "credit_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("facility_id", sa.Integer(), nullable=True),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("deed", sa.String(length=40), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("appeal", sa.String(length=32), nullable=False),
        sa.Column("appeal_text", sa.Text(), nullable=False),
        sa.Column("appealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["answered_by"], ["person.id"], name="fk_credit_entry_answered_by"),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_credit_entry_booking_id"),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name="fk_credit_entry_facility_id"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_credit_entry_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credit_entry"),
        sa.UniqueConstraint(
            "person_id", "deed", "booking_id", name="uq_credit_entry_person_id_deed_booking_id"
        ),
    )
    op.create_index("ix_credit_entry_facility_id", "credit_entry", ["facility_id"])
    op.create_index("ix_credit_entry_person", "credit_entry", ["person_id", "at"])

    op.create_table(
        "fault",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("closure_id", sa.Uuid(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("stops_work", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Uuid(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_fault_booking_id"),
        sa.ForeignKeyConstraint(["closure_id"], ["closure.id"], name="fk_fault_closure_id"),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_fault_instrument_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_fault_person_id"),
        sa.ForeignKeyConstraint(["settled_by"], ["person.id"], name="fk_fault_settled_by"),
        sa.PrimaryKeyConstraint("id", name="pk_fault"),
    )
    op.create_index("ix_fault_booking_id", "fault", ["booking_id"])
    op.create_index("ix_fault_instrument", "fault", ["instrument_id", "state"])

    op.create_table(
        "transfer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("for_booking_id", sa.Uuid(), nullable=True),
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("to_id", sa.Uuid(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("terms", JSON, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_transfer_booking_id"),
        sa.ForeignKeyConstraint(["for_booking_id"], ["booking.id"], name="fk_transfer_for_booking_id"),
        sa.ForeignKeyConstraint(["from_id"], ["person.id"], name="fk_transfer_from_id"),
        sa.ForeignKeyConstraint(["to_id"], ["person.id"], name="fk_transfer_to_id"),
        sa.PrimaryKeyConstraint("id", name="pk_transfer"),
    )
    op.create_index("ix_transfer_for_booking_id", "transfer", ["for_booking_id"])
    op.create_index("ix_transfer_from", "transfer", ["from_id", "state"])
    op.create_index(
        "ix_transfer_open",
        "transfer",
        ["booking_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_transfer_to", "transfer", ["to_id", "state"])

    op.create_table(
        "waitlist_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("window_starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reach_starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reach_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=2000), nullable=False),
        sa.Column("wish", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("minutes >= 1 AND quantity >= 1", name="ck_waitlist_entry_figures"),
        sa.CheckConstraint("window_starts_at < window_ends_at", name="ck_waitlist_entry_window"),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_waitlist_entry_booking_id"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_waitlist_entry_organisation_id"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_waitlist_entry_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_waitlist_entry_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_waitlist_entry"),
    )
    op.create_index("ix_waitlist_entry_person", "waitlist_entry", ["person_id", "state"])
    op.create_index(
        "ix_waitlist_entry_waiting",
        "waitlist_entry",
        ["reach_starts_at", "reach_ends_at"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )

    op.create_table(
        "approver",
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=True),
        sa.Column("approves", sa.Boolean(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("spoken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spoken_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_approver_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["spoken_by"], ["person.id"], name="fk_approver_spoken_by"),
        sa.ForeignKeyConstraint(
            ["step_id"], ["approval_step.id"], name="fk_approver_step_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("step_id", "person_id", name="pk_approver"),
    )
    op.create_index("ix_approver_person", "approver", ["person_id"])

    op.create_table(
        "waitlist_instrument",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["waitlist_entry.id"], name="fk_waitlist_instrument_entry_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
            name="fk_waitlist_instrument_instrument_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("entry_id", "instrument_id", name="pk_waitlist_instrument"),
    )
    op.create_index("ix_waitlist_instrument_instrument_id", "waitlist_instrument", ["instrument_id"])

    op.create_table(
        "waitlist_offer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["waitlist_entry.id"], name="fk_waitlist_offer_entry_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["hold.id"], name="fk_waitlist_offer_hold_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["instrument_id"], ["instrument.id"], name="fk_waitlist_offer_instrument_id"),
        sa.PrimaryKeyConstraint("id", name="pk_waitlist_offer"),
    )
    op.create_index(
        "ix_waitlist_offer_deadline",
        "waitlist_offer",
        ["deadline"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_waitlist_offer_entry_id", "waitlist_offer", ["entry_id"])
    op.create_index(
        "ix_waitlist_offer_open",
        "waitlist_offer",
        ["entry_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )

    with op.batch_alter_table("booking") as batch_op:
        batch_op.add_column(sa.Column("booked_by_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("series_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("series_day", sa.Date(), nullable=True))
        batch_op.create_index(
            "ix_booking_booked_by",
            ["booked_by_id", "starts_at"],
            sqlite_where=sa.text("booked_by_id IS NOT NULL"),
            postgresql_where=sa.text("booked_by_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_booking_checked_in",
            ["ends_at"],
            sqlite_where=sa.text("state = 'checked_in'"),
            postgresql_where=sa.text("state = 'checked_in'"),
        )
        batch_op.create_index(
            "ix_booking_series",
            ["series_id", "series_day"],
            sqlite_where=sa.text("series_id IS NOT NULL"),
            postgresql_where=sa.text("series_id IS NOT NULL"),
        )
        batch_op.create_foreign_key("fk_booking_series_id", "series", ["series_id"], ["id"])
        batch_op.create_foreign_key("fk_booking_booked_by_id", "person", ["booked_by_id"], ["id"])

    with op.batch_alter_table("delivery") as batch_op:
        batch_op.add_column(sa.Column("read_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("digest", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_index(
            "ix_delivery_due", sqlite_where=sa.text("sent_at IS NULL AND given_up_at IS NULL")
        )
        batch_op.create_index(
            "ix_delivery_to_send",
            ["next_at"],
            sqlite_where=sa.text("sent_at IS NULL AND given_up_at IS NULL AND channel <> 'inbox'"),
            postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL AND channel <> 'inbox'"),
        )
        batch_op.create_index(
            "ix_delivery_unread",
            ["person_id"],
            sqlite_where=sa.text("channel = 'inbox' AND read_at IS NULL"),
            postgresql_where=sa.text("channel = 'inbox' AND read_at IS NULL"),
        )

    with op.batch_alter_table("instrument") as batch_op:
        batch_op.alter_column("step_minutes", existing_type=sa.INTEGER(), nullable=True)
        batch_op.alter_column("shortest_minutes", existing_type=sa.INTEGER(), nullable=True)
        batch_op.alter_column("notice_minutes", existing_type=sa.INTEGER(), nullable=True)
        batch_op.alter_column("setup_minutes", existing_type=sa.INTEGER(), nullable=True)
        batch_op.alter_column("cleanup_minutes", existing_type=sa.INTEGER(), nullable=True)

    with op.batch_alter_table("occupation") as batch_op:
        batch_op.add_column(sa.Column("hold_id", sa.Uuid(), nullable=True))
        batch_op.create_index(
            "ix_occupation_hold",
            ["hold_id"],
            sqlite_where=sa.text("hold_id IS NOT NULL"),
            postgresql_where=sa.text("hold_id IS NOT NULL"),
        )
        batch_op.create_foreign_key("fk_occupation_hold_id", "hold", ["hold_id"], ["id"])

    with op.batch_alter_table("one_time_link") as batch_op:
        batch_op.add_column(sa.Column("subject", sa.String(length=80), nullable=False, server_default=""))

    with op.batch_alter_table("usage") as batch_op:
        batch_op.add_column(sa.Column("late_minutes", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("early_minutes", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("overtime_minutes", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("samples", sa.Integer(), nullable=True))
        batch_op.create_index(
            "ix_usage_unspoken",
            ["checked_out_at"],
            sqlite_where=sa.text("feedback_at IS NULL"),
            postgresql_where=sa.text("feedback_at IS NULL"),
        )


def downgrade() -> None:
    op.execute("UPDATE instrument SET step_minutes = 30 WHERE step_minutes IS NULL")
    op.execute("UPDATE instrument SET shortest_minutes = 30 WHERE shortest_minutes IS NULL")
    op.execute("UPDATE instrument SET notice_minutes = 0 WHERE notice_minutes IS NULL")
    op.execute("UPDATE instrument SET setup_minutes = 0 WHERE setup_minutes IS NULL")
    op.execute("UPDATE instrument SET cleanup_minutes = 0 WHERE cleanup_minutes IS NULL")
    with op.batch_alter_table("usage") as batch_op:
        batch_op.drop_index(
            "ix_usage_unspoken",
            sqlite_where=sa.text("feedback_at IS NULL"),
            postgresql_where=sa.text("feedback_at IS NULL"),
        )
        batch_op.drop_column("samples")
        batch_op.drop_column("overtime_minutes")
        batch_op.drop_column("early_minutes")
        batch_op.drop_column("late_minutes")

    with op.batch_alter_table("one_time_link") as batch_op:
        batch_op.drop_column("subject")

    with op.batch_alter_table("occupation") as batch_op:
        batch_op.drop_constraint("fk_occupation_hold_id", type_="foreignkey")
        batch_op.drop_index(
            "ix_occupation_hold",
            sqlite_where=sa.text("hold_id IS NOT NULL"),
            postgresql_where=sa.text("hold_id IS NOT NULL"),
        )
        batch_op.drop_column("hold_id")

    with op.batch_alter_table("instrument") as batch_op:
        batch_op.alter_column("cleanup_minutes", existing_type=sa.INTEGER(), nullable=False)
        batch_op.alter_column("setup_minutes", existing_type=sa.INTEGER(), nullable=False)
        batch_op.alter_column("notice_minutes", existing_type=sa.INTEGER(), nullable=False)
        batch_op.alter_column("shortest_minutes", existing_type=sa.INTEGER(), nullable=False)
        batch_op.alter_column("step_minutes", existing_type=sa.INTEGER(), nullable=False)

    with op.batch_alter_table("delivery") as batch_op:
        batch_op.drop_index(
            "ix_delivery_unread",
            sqlite_where=sa.text("channel = 'inbox' AND read_at IS NULL"),
            postgresql_where=sa.text("channel = 'inbox' AND read_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_delivery_to_send",
            sqlite_where=sa.text("sent_at IS NULL AND given_up_at IS NULL AND channel <> 'inbox'"),
            postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL AND channel <> 'inbox'"),
        )
        batch_op.create_index(
            "ix_delivery_due",
            ["next_at"],
            sqlite_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
            postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
        )
        batch_op.drop_column("held_until")
        batch_op.drop_column("digest")
        batch_op.drop_column("read_at")

    with op.batch_alter_table("booking") as batch_op:
        batch_op.drop_constraint("fk_booking_booked_by_id", type_="foreignkey")
        batch_op.drop_constraint("fk_booking_series_id", type_="foreignkey")
        batch_op.drop_index(
            "ix_booking_series",
            sqlite_where=sa.text("series_id IS NOT NULL"),
            postgresql_where=sa.text("series_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_booking_checked_in",
            sqlite_where=sa.text("state = 'checked_in'"),
            postgresql_where=sa.text("state = 'checked_in'"),
        )
        batch_op.drop_index(
            "ix_booking_booked_by",
            sqlite_where=sa.text("booked_by_id IS NOT NULL"),
            postgresql_where=sa.text("booked_by_id IS NOT NULL"),
        )
        batch_op.drop_column("series_day")
        batch_op.drop_column("series_id")
        batch_op.drop_column("booked_by_id")

    op.drop_table("waitlist_offer")

    op.drop_table("waitlist_instrument")

    op.drop_table("approver")

    op.drop_table("waitlist_entry")

    op.drop_table("transfer")

    op.drop_table("fault")

    op.drop_table("credit_entry")
    op.drop_table("chemical")

    op.drop_table("booking_paper")

    op.drop_table("approval_step")

    op.drop_table("certificate")

    op.drop_table("training_session")

    op.drop_table("series")

    op.drop_table("rule")

    op.drop_table("kiosk")

    op.drop_table("freed")

    op.drop_table("qualification")

    op.drop_table("credit_rule")

    op.drop_table("ban")

    op.drop_table("webhook")
    op.drop_table("quiet_hours")
    op.drop_table("notice_wish")

    op.drop_table("hold")

    op.drop_table("delegation")
    op.drop_table("badge")
    op.drop_table("quota_lock")
    op.drop_table("calendar_day")

"""What answering has cost, what is to be forgotten elsewhere, and keys of jobs.

Discards are made by triggers, so that whoever deletes leaves a note in the same transaction: a cascade,
an admin, or somebody at psql, whose search path may be another one. Alembic does not compare triggers;
the tests do.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_usage_records()
    _make_discards()
    for table in ("usage_records", "discards"):
        op.execute(f"""
            CREATE TRIGGER set_updated_at BEFORE UPDATE ON {table}
            FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
        """)
    op.add_column("cron_jobs", sa.Column("idempotency_key", sa.String(length=256), nullable=True))
    op.create_unique_constraint(
        op.f("uq_cron_jobs_user_id_idempotency_key"), "cron_jobs", ["user_id", "idempotency_key"]
    )
    op.drop_index(op.f("ix_cron_jobs_user_id"), table_name="cron_jobs")


def _make_usage_records() -> None:
    op.create_table(
        "usage_records",
        sa.Column("id", sa.String(length=400), nullable=False),
        sa.Column("message_id", sa.String(length=400), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("assistant_id", sa.Uuid(), nullable=True),
        sa.Column("assistant", sa.String(length=128), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("model_calls", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('answer', 'summary')", name=op.f("ck_usage_records_kind_known")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["telegram_users.id"], name=op.f("fk_usage_records_user_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_usage_records_assistant_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_records")),
    )
    for columns in (["at"], ["user_id", "at"], ["assistant_id", "at"], ["model", "at"]):
        columns.append("id")
        op.create_index(op.f(f"ix_usage_records_{'_'.join(columns)}"), "usage_records", columns)


def _make_discards() -> None:
    op.create_table(
        "discards",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('thread', 'user')", name=op.f("ck_discards_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discards")),
    )
    op.create_index(
        op.f("ix_user_assistant_threads_thread_id"), "user_assistant_threads", ["thread_id"], unique=False
    )
    op.execute("""
        CREATE FUNCTION discard_thread() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            INSERT INTO discards (kind, reference) VALUES ('thread', OLD.thread_id);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE FUNCTION discard_user() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            INSERT INTO discards (kind, reference) VALUES ('user', OLD.id);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER discard_deleted AFTER DELETE ON user_assistant_threads
        FOR EACH ROW EXECUTE FUNCTION discard_thread()
    """)
    op.execute("""
        CREATE TRIGGER discard_replaced AFTER UPDATE OF thread_id ON user_assistant_threads
        FOR EACH ROW WHEN (OLD.thread_id IS DISTINCT FROM NEW.thread_id) EXECUTE FUNCTION discard_thread()
    """)
    op.execute("""
        CREATE TRIGGER discard_deleted AFTER DELETE ON telegram_users
        FOR EACH ROW EXECUTE FUNCTION discard_user()
    """)


def downgrade() -> None:
    op.create_index(op.f("ix_cron_jobs_user_id"), "cron_jobs", ["user_id"], unique=False)
    op.drop_constraint(op.f("uq_cron_jobs_user_id_idempotency_key"), "cron_jobs", type_="unique")
    op.drop_column("cron_jobs", "idempotency_key")
    op.execute("DROP TRIGGER discard_deleted ON telegram_users")
    op.execute("DROP TRIGGER discard_replaced ON user_assistant_threads")
    op.execute("DROP TRIGGER discard_deleted ON user_assistant_threads")
    op.execute("DROP FUNCTION discard_user()")
    op.execute("DROP FUNCTION discard_thread()")
    op.drop_index(op.f("ix_user_assistant_threads_thread_id"), table_name="user_assistant_threads")
    op.drop_table("discards")
    op.drop_table("usage_records")

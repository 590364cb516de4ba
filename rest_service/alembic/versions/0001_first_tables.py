"""First tables: users, assistants, tools, links, threads, calendar credentials, jobs, firings.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "assistants",
    "telegram_users",
    "calendar_credentials",
    "cron_jobs",
    "tools",
    "user_assistant_threads",
    "assistant_tool_links",
    "cron_job_records",
)


def upgrade() -> None:
    op.create_table(
        "assistants",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("is_secretary", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("assistant_type", sa.String(length=32), server_default="llm", nullable=False),
        sa.Column("openai_assistant_id", sa.String(length=128), nullable=True),
        sa.Column(
            "settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("instructions <> ''", name=op.f("ck_assistants_instructions_given")),
        sa.CheckConstraint("jsonb_typeof(settings) = 'object'", name=op.f("ck_assistants_settings_object")),
        sa.CheckConstraint("model <> ''", name=op.f("ck_assistants_model_given")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_assistants_name_given")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistants")),
        sa.UniqueConstraint("name", name=op.f("uq_assistants_name")),
    )
    op.create_index(op.f("ix_assistants_created_at_id"), "assistants", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_assistants_is_secretary",
        "assistants",
        ["is_secretary"],
        unique=False,
        postgresql_where=sa.text("is_secretary"),
    )
    op.create_table(
        "telegram_users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("telegram_id", sa.BigInteger(), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=True),
        sa.Column("first_name", sa.String(length=256), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("role", sa.String(length=16), server_default="member", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "role IN ('owner', 'member', 'blocked')", name=op.f("ck_telegram_users_role_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telegram_users")),
        sa.UniqueConstraint("telegram_id", name=op.f("uq_telegram_users_telegram_id")),
    )
    op.create_index(
        "uq_telegram_users_one_owner",
        "telegram_users",
        ["role"],
        unique=True,
        postgresql_where=sa.text("role = 'owner'"),
    )
    op.create_table(
        "calendar_credentials",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("access_token", sa.Text(), nullable=False),
        sa.Column("refresh_token", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scopes", postgresql.ARRAY(sa.String(length=256)), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="linked", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('linked', 'revoked')", name=op.f("ck_calendar_credentials_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["telegram_users.id"],
            name=op.f("fk_calendar_credentials_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_calendar_credentials")),
    )
    op.create_table(
        "cron_jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=32), server_default="notification", nullable=False),
        sa.Column("cron_expression", sa.String(length=256), nullable=True),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("timezone", sa.String(length=64), server_default="UTC", nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("priority", sa.String(length=16), server_default="normal", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="active", nullable=False),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("message <> ''", name=op.f("ck_cron_jobs_message_given")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_cron_jobs_name_given")),
        sa.CheckConstraint("priority IN ('normal', 'high')", name=op.f("ck_cron_jobs_priority_known")),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'done', 'failed')", name=op.f("ck_cron_jobs_status_known")
        ),
        sa.CheckConstraint("type IN ('notification', 'schedule')", name=op.f("ck_cron_jobs_type_known")),
        sa.CheckConstraint(
            "(cron_expression IS NULL) <> (run_at IS NULL)", name=op.f("ck_cron_jobs_one_time")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["telegram_users.id"], name=op.f("fk_cron_jobs_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cron_jobs")),
    )
    op.create_index(
        "ix_cron_jobs_due",
        "cron_jobs",
        ["next_run_at"],
        unique=False,
        postgresql_where=sa.text("is_active AND status = 'active' AND next_run_at IS NOT NULL"),
    )
    op.create_index(
        "ix_cron_jobs_running",
        "cron_jobs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("is_active AND status = 'active'"),
    )
    op.create_index(op.f("ix_cron_jobs_user_id"), "cron_jobs", ["user_id"], unique=False)
    op.create_table(
        "tools",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("tool_type", sa.String(length=32), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("input_schema", sa.Text(), nullable=True),
        sa.Column("assistant_id", sa.Uuid(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(tool_type = 'sub_assistant') = (assistant_id IS NOT NULL)",
            name=op.f("ck_tools_sub_assistant_has_assistant"),
        ),
        sa.CheckConstraint("description <> ''", name=op.f("ck_tools_description_given")),
        sa.CheckConstraint("name ~ '^[a-zA-Z0-9_-]{1,64}$'", name=op.f("ck_tools_name_callable")),
        sa.ForeignKeyConstraint(["assistant_id"], ["assistants.id"], name=op.f("fk_tools_assistant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tools")),
        sa.UniqueConstraint("name", name=op.f("uq_tools_name")),
    )
    op.create_index(op.f("ix_tools_assistant_id"), "tools", ["assistant_id"], unique=False)
    op.create_table(
        "user_assistant_threads",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("assistant_id", sa.Uuid(), nullable=False),
        sa.Column("thread_id", sa.String(length=256), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("thread_id <> ''", name=op.f("ck_user_assistant_threads_thread_id_given")),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_user_assistant_threads_assistant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["telegram_users.id"],
            name=op.f("fk_user_assistant_threads_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_assistant_threads")),
        sa.UniqueConstraint(
            "user_id", "assistant_id", name=op.f("uq_user_assistant_threads_user_id_assistant_id")
        ),
    )
    op.create_index(
        op.f("ix_user_assistant_threads_assistant_id"),
        "user_assistant_threads",
        ["assistant_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_user_assistant_threads_created_at_id"),
        "user_assistant_threads",
        ["created_at", "id"],
        unique=False,
    )
    op.create_table(
        "assistant_tool_links",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("assistant_id", sa.Uuid(), nullable=False),
        sa.Column("tool_id", sa.Uuid(), nullable=False),
        sa.Column("sub_assistant_id", sa.Uuid(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_assistant_tool_links_assistant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["sub_assistant_id"], ["assistants.id"], name=op.f("fk_assistant_tool_links_sub_assistant_id")
        ),
        sa.ForeignKeyConstraint(
            ["tool_id"], ["tools.id"], name=op.f("fk_assistant_tool_links_tool_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistant_tool_links")),
        sa.UniqueConstraint(
            "assistant_id", "tool_id", name=op.f("uq_assistant_tool_links_assistant_id_tool_id")
        ),
    )
    op.create_index(
        op.f("ix_assistant_tool_links_created_at_id"),
        "assistant_tool_links",
        ["created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_assistant_tool_links_sub_assistant_id"),
        "assistant_tool_links",
        ["sub_assistant_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_assistant_tool_links_tool_id"), "assistant_tool_links", ["tool_id"], unique=False
    )
    op.create_table(
        "cron_job_records",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("cron_job_id", sa.Integer(), nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="created", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('created', 'running', 'done', 'failed', 'missed')",
            name=op.f("ck_cron_job_records_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["cron_job_id"],
            ["cron_jobs.id"],
            name=op.f("fk_cron_job_records_cron_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cron_job_records")),
        sa.UniqueConstraint(
            "cron_job_id", "scheduled_for", name=op.f("uq_cron_job_records_cron_job_id_scheduled_for")
        ),
    )
    op.create_index(
        "ix_cron_job_records_open",
        "cron_job_records",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status IN ('created', 'running')"),
    )
    op.execute("""
        CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.updated_at := clock_timestamp();
            RETURN NEW;
        END $$
    """)
    for table in TABLES:
        # a change that changes nothing leaves the time as it is
        op.execute(f"""
            CREATE TRIGGER set_updated_at BEFORE UPDATE ON {table}
            FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
        """)


def downgrade() -> None:
    op.drop_table("cron_job_records")
    op.drop_table("assistant_tool_links")
    op.drop_table("user_assistant_threads")
    op.drop_table("tools")
    op.drop_table("cron_jobs")
    op.drop_table("calendar_credentials")
    op.drop_table("telegram_users")
    op.drop_table("assistants")
    op.execute("DROP FUNCTION set_updated_at()")

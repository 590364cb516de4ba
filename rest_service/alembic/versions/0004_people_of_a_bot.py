"""People belong to the bot they talk to (ADR 0021).

Of an installation that is upgraded: who has a number of the sandbox belongs to the sandbox's bot, everybody
else to the first other bot that plays. Telegram gives nobody numbers that low any more; the sandbox counts
from 1001.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SANDBOX_BOT = 100_000


def upgrade() -> None:
    op.create_table(
        "telegram_bots",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("username", sa.String(length=64), server_default="", nullable=False),
        sa.Column("is_current", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telegram_bots")),
    )
    op.create_index(
        "uq_telegram_bots_one_current",
        "telegram_bots",
        ["is_current"],
        unique=True,
        postgresql_where=sa.text("is_current"),
    )
    op.execute("""
        CREATE TRIGGER set_updated_at BEFORE UPDATE ON telegram_bots
        FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
    """)
    # a column's default cannot ask another table, but a function can
    op.execute("""
        CREATE FUNCTION current_bot() RETURNS bigint LANGUAGE sql STABLE SET search_path FROM CURRENT
        AS $$ SELECT coalesce((SELECT id FROM telegram_bots WHERE is_current), 0) $$
    """)
    op.add_column(
        "telegram_users",
        sa.Column("bot_id", sa.BigInteger(), server_default=sa.text("current_bot()"), nullable=False),
    )
    op.execute(f"""
        INSERT INTO telegram_bots (id) SELECT {SANDBOX_BOT} WHERE EXISTS (SELECT FROM telegram_users)
    """)
    op.execute(f"UPDATE telegram_users SET bot_id = {SANDBOX_BOT} WHERE telegram_id BETWEEN 1001 AND 99999")
    op.drop_constraint(op.f("uq_telegram_users_telegram_id"), "telegram_users", type_="unique")
    op.create_unique_constraint(
        op.f("uq_telegram_users_telegram_id_bot_id"), "telegram_users", ["telegram_id", "bot_id"]
    )
    op.drop_index("uq_telegram_users_one_owner", table_name="telegram_users")
    op.create_index(
        "uq_telegram_users_one_owner",
        "telegram_users",
        ["bot_id"],
        unique=True,
        postgresql_where=sa.text("role = 'owner'"),
    )


def downgrade() -> None:
    """The people of the bot that plays stay; the earlier schema has no place for the others."""
    op.execute("DELETE FROM telegram_users WHERE bot_id <> current_bot()")
    op.drop_index("uq_telegram_users_one_owner", table_name="telegram_users")
    op.create_index(
        "uq_telegram_users_one_owner",
        "telegram_users",
        ["role"],
        unique=True,
        postgresql_where=sa.text("role = 'owner'"),
    )
    op.drop_constraint(op.f("uq_telegram_users_telegram_id_bot_id"), "telegram_users", type_="unique")
    op.create_unique_constraint(op.f("uq_telegram_users_telegram_id"), "telegram_users", ["telegram_id"])
    op.drop_column("telegram_users", "bot_id")
    op.execute("DROP FUNCTION current_bot()")
    op.drop_table("telegram_bots")

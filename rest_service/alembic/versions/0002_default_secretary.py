"""One secretary is the default: the oldest active one, where there is one.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "assistants", sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute("""
        UPDATE assistants SET is_default = true
        WHERE id = (SELECT id FROM assistants WHERE is_secretary AND is_active ORDER BY created_at, id LIMIT 1)
    """)
    op.create_check_constraint(
        op.f("ck_assistants_default_answers"), "assistants", "NOT is_default OR (is_secretary AND is_active)"
    )
    op.create_index(
        "uq_assistants_one_default",
        "assistants",
        ["is_default"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )


def downgrade() -> None:
    op.drop_index("uq_assistants_one_default", table_name="assistants")
    op.drop_constraint(op.f("ck_assistants_default_answers"), "assistants", type_="check")
    op.drop_column("assistants", "is_default")

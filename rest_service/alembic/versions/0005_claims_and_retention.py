"""Who has claimed a firing, and an index for removing old ones.

A job that fires once, had fired and was set active again stayed active for ever: such ones are over.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cron_job_records", sa.Column("claimed_by", sa.String(length=128), nullable=True))
    op.create_index(
        "ix_cron_job_records_ended",
        "cron_job_records",
        ["finished_at"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.execute("""
        UPDATE cron_jobs SET status = 'done'
        WHERE run_at IS NOT NULL AND next_run_at IS NULL AND is_active AND status = 'active'
          AND NOT EXISTS (
            SELECT FROM cron_job_records r
            WHERE r.cron_job_id = cron_jobs.id AND r.status IN ('created', 'running')
          )
    """)


def downgrade() -> None:
    op.drop_index("ix_cron_job_records_ended", table_name="cron_job_records")
    op.drop_column("cron_job_records", "claimed_by")

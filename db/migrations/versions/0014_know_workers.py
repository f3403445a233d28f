"""Know workers, and what jobs need of them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def needs() -> list[sa.Column[Any]]:
    """Return fresh columns: one belongs to one table only, and migrations may run more than once in a process."""
    return [
        sa.Column("worker_id", sa.String(32), nullable=True),
        sa.Column("needs_gpu", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("needs_memory_mb", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("needs_tag", sa.String(64), nullable=False, server_default=""),
        sa.Column("needs_local", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("gpus", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    for column in needs():
        op.add_column("jobs", column)


def downgrade() -> None:
    for column in needs():
        op.drop_column("jobs", column.name)
    op.drop_table("workers")

"""Know which workers launchers requested, and what the trials of a sweep need of a machine."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "launches",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("launcher", sa.String(32), nullable=False),
        sa.Column("needs_gpu", sa.Boolean(), nullable=False),
        sa.Column("needs_memory_mb", sa.Integer(), nullable=False),
        sa.Column("needs_tag", sa.String(64), nullable=False),
        sa.Column("at_most", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_launches"),
    )
    op.add_column("sweeps", sa.Column("needs", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("sweeps", "needs")
    op.drop_table("launches")

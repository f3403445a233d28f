"""Store the progress of a job as phase, unit, rate and details instead of as a sentence."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("progress_phase", sa.String(32), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("progress_unit", sa.String(16), nullable=False, server_default="images"))
    op.add_column("jobs", sa.Column("progress_rate", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("progress_details", sa.JSON(), nullable=False, server_default="{}"))
    op.drop_column("jobs", "progress_text")


def downgrade() -> None:
    op.add_column("jobs", sa.Column("progress_text", sa.Text(), nullable=False, server_default=""))
    for name in ("details", "rate", "unit", "phase"):
        op.drop_column("jobs", f"progress_{name}")

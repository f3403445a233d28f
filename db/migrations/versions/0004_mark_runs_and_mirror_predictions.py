"""What people write on runs, how alike a mask and its mirror are, and one metric of all runs read from an index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("runs", sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("predictions", sa.Column("flip_agreement", sa.Double(), nullable=True))
    op.create_index("ix_metrics_name_run_id_epoch_value", "metrics", ["name", "run_id", "epoch", "value"])
    op.create_index("ix_predictions_split_truth_dice", "predictions", ["prediction_set_id", "split", "truth_dice"])


def downgrade() -> None:
    op.drop_index("ix_predictions_split_truth_dice", "predictions")
    op.drop_index("ix_metrics_name_run_id_epoch_value", "metrics")
    op.drop_column("predictions", "flip_agreement")
    for name in ("archived", "pinned", "tags", "note"):
        op.drop_column("runs", name)

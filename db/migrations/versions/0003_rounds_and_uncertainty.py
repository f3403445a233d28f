"""Rounds of self-training, how sure a prediction is, and how its edges were refined."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rounds",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_epoch", sa.Integer(), nullable=False),
        sa.Column("last_epoch", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("agreement", sa.Double(), nullable=True),
        sa.Column("labels_quality", sa.Double(), nullable=True),
        sa.Column("masks_quality", sa.Double(), nullable=True),
        sa.Column("labels_truth_dice", sa.Double(), nullable=True),
        sa.Column("labels_truth_iou", sa.Double(), nullable=True),
        sa.Column("masks_truth_dice", sa.Double(), nullable=True),
        sa.Column("masks_truth_iou", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_rounds_run_id_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_rounds"),
    )
    op.add_column("prediction_sets", sa.Column("refine", sa.String(length=32), nullable=False, server_default="none"))
    op.add_column("predictions", sa.Column("uncertainty", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("predictions", "uncertainty")
    op.drop_column("prediction_sets", "refine")
    op.drop_table("rounds")

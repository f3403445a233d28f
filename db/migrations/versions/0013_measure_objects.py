"""Measure objects."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

OWNERS = (("dataset_id", "datasets"), ("prediction_set_id", "prediction_sets"), ("label_set_id", "label_sets"))


def upgrade() -> None:
    op.create_table(
        "measurements",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("dataset_id", sa.String(32), nullable=False),
        sa.Column("prediction_set_id", sa.String(32), nullable=True),
        sa.Column("label_set_id", sa.String(32), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("pixel_size", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=True),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=f"fk_measurements_{column}_{table}", ondelete="CASCADE"
            )
            for column, table in OWNERS
        ),
        sa.PrimaryKeyConstraint("id", name="pk_measurements"),
    )
    for column, _ in OWNERS:
        op.create_index(f"ix_measurements_{column}", "measurements", [column])


def downgrade() -> None:
    op.drop_table("measurements")

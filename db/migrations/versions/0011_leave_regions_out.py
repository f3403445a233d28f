"""Leave regions out."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OWNERS = ("datasets", "label_sets", "runs", "prediction_sets")


def upgrade() -> None:
    for table in OWNERS:
        op.add_column(table, sa.Column("left_out_id", sa.String(32), nullable=True))
    op.add_column("datasets", sa.Column("left_out_revision", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "left_out_regions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("dataset_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.String(32), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("file_id", sa.String(32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_left_out_regions_dataset_id_datasets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_left_out_regions"),
        sa.UniqueConstraint("dataset_id", "revision", name="uq_left_out_regions_dataset_id"),
    )


def downgrade() -> None:
    op.drop_table("left_out_regions")
    op.drop_column("datasets", "left_out_revision")
    for table in OWNERS:
        op.drop_column(table, "left_out_id")

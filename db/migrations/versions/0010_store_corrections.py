"""Store what people draw on images."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("correction_revision", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("images", sa.Column("in_audit", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("run_images", sa.Column("correction_id", sa.String(32), nullable=True))
    op.create_table(
        "corrections",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("dataset_id", sa.String(32), nullable=False),
        sa.Column("image_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.String(32), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("pixels", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.String(32), nullable=False),
        sa.Column("mask_dice", sa.Double(), nullable=True),
        sa.Column("mask_of", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_corrections_dataset_id_datasets", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_corrections_image_id_images", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sa.UniqueConstraint("image_id", "revision", name="uq_corrections_image_id"),
    )
    op.create_index("ix_corrections_dataset_id", "corrections", ["dataset_id"])


def downgrade() -> None:
    op.drop_table("corrections")
    op.drop_column("run_images", "correction_id")
    op.drop_column("images", "in_audit")
    op.drop_column("images", "correction_revision")

"""Store the classes that a label set and a run tell apart, and which class its masks give for which in each image."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("label_sets", sa.Column("classes", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("runs", sa.Column("classes", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("predictions", sa.Column("truth_confusion", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("predictions", "truth_confusion")
    op.drop_column("runs", "classes")
    op.drop_column("label_sets", "classes")

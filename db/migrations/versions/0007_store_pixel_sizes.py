"""Store the size of a pixel and what it was read from, where an imported file says it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("pixel_width_um", sa.Double(), nullable=True))
    op.add_column("images", sa.Column("pixel_height_um", sa.Double(), nullable=True))
    op.add_column("images", sa.Column("pixel_size_source", sa.String(32), nullable=True))


def downgrade() -> None:
    for name in ("pixel_size_source", "pixel_height_um", "pixel_width_um"):
        op.drop_column("images", name)

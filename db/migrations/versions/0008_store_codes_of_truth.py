"""Store which id or colour each code of a dataset's truth stands for."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datasets", sa.Column("truth_codes", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("datasets", "truth_codes")

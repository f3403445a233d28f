"""Judge each mask, mark images that are not learned from, remember what a method learned, keep recipes.

Columns are added in place: to copy the table anew, as batch mode may, would take the rows that point to it along.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("label_sets", sa.Column("state", sa.JSON(), nullable=True))
    op.add_column("label_sets", sa.Column("recipe_key", sa.String(length=64), nullable=True))
    op.create_index("ix_label_sets_recipe_key", "label_sets", ["recipe_key"])
    op.add_column("labels", sa.Column("quality", sa.Double(), nullable=True))
    op.add_column("labels", sa.Column("quality_parts", sa.JSON(), nullable=True))
    op.add_column("labels", sa.Column("unclear", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("labels", sa.Column("dropped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "kept_recipes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kept_recipes"),
        sa.UniqueConstraint("name", name="uq_kept_recipes_name"),
    )


def downgrade() -> None:
    op.drop_table("kept_recipes")
    for name in ("dropped", "unclear", "quality_parts", "quality"):
        op.drop_column("labels", name)
    op.drop_index("ix_label_sets_recipe_key", "label_sets")
    op.drop_column("label_sets", "recipe_key")
    op.drop_column("label_sets", "state")

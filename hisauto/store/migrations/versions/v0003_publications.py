"""Which place has which checkpoint: several places, each with its own failures."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "publications",
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("at", sa.String(32)),
        sa.Column("failing_since", sa.String(32)),
        sa.Column("why", sa.Text, nullable=False),
    )
    # What was published is published again, once: which of several places had it was not on record.
    op.drop_column("checkpoints", "published_at")

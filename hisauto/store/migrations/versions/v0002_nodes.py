"""Several nodes: who drives a run, since when it waits for locks, who beats, which schema the log's writers know."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("node", sa.Text))
    op.add_column("runs", sa.Column("wanted_since", sa.String(32)))
    op.add_column("audit_head", sa.Column("revision", sa.Text, nullable=False, server_default="0001"))
    op.drop_table("nodes")  # whoever was in it has to start again to know these tables
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("seen", sa.String(32), nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
    )

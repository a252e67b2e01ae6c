"""The spine: runs, attempts, decisions, locks, the audit log."""

import sqlalchemy as sa
from alembic import op

from hisauto.audit.merkle import Head

revision = "0001"
down_revision = None


def _run(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), primary_key=primary_key, nullable=False)


def upgrade() -> None:
    _create_runs()
    _create_parts()
    _create_shared()
    _create_audit()


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("incident", sa.Text),
        sa.Column("level", sa.Integer),
        sa.Column("question", sa.JSON),
        sa.Column("wake_at", sa.String(32)),
        sa.Column("inbox", sa.Integer, nullable=False),
        sa.Column("parked", sa.Boolean, nullable=False),
        sa.Column("wanted", sa.JSON),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("reported_at", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.String(32)),
        sa.Column("summary", sa.JSON, nullable=False),
    )
    op.create_index("runs_by_state", "runs", ["state", "created_at"])
    op.create_index("runs_to_drive", "runs", ["ended_at", "parked", "created_at"])


def _create_parts() -> None:
    op.create_table(
        "attempts",
        _run(primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("host", sa.Text),
        sa.Column("intent", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.String(32)),
        sa.UniqueConstraint("run", "seq", name="attempts_in_order"),
    )
    op.create_table(
        "memos",
        _run(primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
    )
    op.create_table(
        "decisions",
        _run(primary_key=True),
        sa.Column("question", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("card", sa.JSON, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("break_glass", sa.Boolean, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_table(
        "outputs",
        _run(primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )


def _create_shared() -> None:
    op.create_table(
        "locks",
        sa.Column("key", sa.Text, primary_key=True),
        _run(),
        sa.Column("since", sa.String(32), nullable=False),
    )
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "runbook_versions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("seen", sa.String(32), nullable=False),
    )


def _create_audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("run", sa.Text),
        sa.Column("raw", sa.Text, nullable=False),
    )
    op.create_index("audit_entries_by_run", "audit_entries", ["run", "seq"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("head", sa.JSON, nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "head": Head().to_json()}])
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("published_at", sa.String(32)),
    )

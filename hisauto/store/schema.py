"""The tables. What is changed here needs a migration beside it; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

REVISION = "0003"
"""The newest migration this code knows. Kept here so that opening an up-to-date database needs no alembic."""


class Moment(sa.TypeDecorator[datetime]):
    """A point in time as text in UTC of fixed width: compares as it sorts, and loses nothing on either database."""

    impl = sa.String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


metadata = sa.MetaData()
_JSON = sa.JSON(none_as_null=True)


def _run(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("run", sa.Text, sa.ForeignKey("runs.id"), primary_key=primary_key, nullable=False)


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("runbook", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),  # of the plan
    sa.Column("plan", _JSON, nullable=False),
    sa.Column("request", _JSON, nullable=False),  # the decision that asked for it, signature and all
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),  # how often it was claimed
    sa.Column("requester", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("incident", sa.Text),
    sa.Column("level", sa.Integer),
    sa.Column("question", _JSON),
    sa.Column("wake_at", Moment),
    sa.Column("inbox", sa.Integer, nullable=False),  # decisions it was sent
    sa.Column("parked", sa.Boolean, nullable=False),  # nobody drives it, and nobody should until it is woken
    sa.Column("wanted", _JSON),  # lock keys it is parked for
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("reported_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.Column("summary", _JSON, nullable=False),
    sa.Column("node", sa.Text),  # which drives it; null while nobody does
    sa.Column("wanted_since", Moment),  # it has waited for locks; null once it has them
    sa.Index("runs_by_state", "state", "created_at"),
    sa.Index("runs_to_drive", "ended_at", "parked", "created_at"),  # nodes ask ten times a second
)

attempts = sa.Table(
    "attempts",
    metadata,
    _run(primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("host", sa.Text),
    sa.Column("intent", _JSON, nullable=False),
    sa.Column("result", _JSON, nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.UniqueConstraint("run", "seq", name="attempts_in_order"),
)

memos = sa.Table(
    "memos",
    metadata,
    _run(primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),  # a memo of null is JSON null, not a missing value
)

decisions = sa.Table(
    "decisions",
    metadata,
    _run(primary_key=True),
    sa.Column("question", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("card", _JSON, nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
    sa.Column("break_glass", sa.Boolean, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

locks = sa.Table(
    "locks",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    _run(),
    sa.Column("since", Moment, nullable=False),
)

outputs = sa.Table(
    "outputs",
    metadata,
    _run(primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Text, nullable=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

blobs = sa.Table(
    "blobs",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

runbook_versions = sa.Table(
    "runbook_versions",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),  # of the runbook's content
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started", Moment, nullable=False),
    sa.Column("seen", Moment, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),  # others watch whether it grows: no clock is compared
)

audit_entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("run", sa.Text),
    sa.Column("raw", sa.Text, nullable=False),  # canonical JSON: the very bytes that are hashed
    sa.Index("audit_entries_by_run", "run", "seq"),
)

END, START = 1, 2
"""Of ``audit_head``: where the log ends; where its entries here begin, if those before were archived."""

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # END or START
    sa.Column("head", _JSON, nullable=False),
    sa.Column("revision", sa.Text, nullable=False, server_default="0001"),  # of the schema, under the writers' lock
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

publications = sa.Table(
    "publications",
    metadata,
    sa.Column("place", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),  # of the newest checkpoint that is there
    sa.Column("at", Moment),
    sa.Column("failing_since", Moment),
    sa.Column("why", sa.Text, nullable=False),
)

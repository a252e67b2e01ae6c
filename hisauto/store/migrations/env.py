"""Run by alembic with a connection whose transaction the caller holds: all revisions or none."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()

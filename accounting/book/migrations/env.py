"""Alembic's environment: the connection and the transaction are those of whoever upgrades."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()

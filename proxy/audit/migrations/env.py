"""Alembic's entry: runs the revisions on the connection, and inside the transaction, that ``upgrade`` has begun."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()

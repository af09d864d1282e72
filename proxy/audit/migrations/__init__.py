"""How the archive's tables came to be, one Alembic revision after another. A revision is never edited once released."""

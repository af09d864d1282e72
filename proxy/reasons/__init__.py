"""Why one command was decided as it was, and what another size would have come to: from the record, never from now."""

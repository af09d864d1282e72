"""What the rules say of themselves, as pages, and which clauses of the regulators a policy covers."""

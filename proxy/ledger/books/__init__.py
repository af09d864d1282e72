"""The ledger: what the venue says was done on an account, kept row by row. Trading, fees and carry are never mixed."""

"""Tables that leave the guard: CSV for spreadsheets, Parquet for analysts, JSON lines for programs."""

"""Alerts: what a person must hear of, told through apprise, once, until somebody says that it was heard."""

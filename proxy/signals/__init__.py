"""Scores and forecasts computed by the warden from the event stream."""

"""The kill switch: a journaling runner around the pure state machine in `rules.kill.machine`."""

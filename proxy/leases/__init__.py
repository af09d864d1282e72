"""Leases: a bot asks to be looked after should it fall silent, and the warden sees to it."""

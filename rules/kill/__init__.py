"""The kill switch as pure functions: what is seen, what has happened, what is therefore to be done next."""

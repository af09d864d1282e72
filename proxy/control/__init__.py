"""What the warden's control door shows and does: a glance at the desk, the audit, keys, the button, re-arming; and the
command line as its client."""

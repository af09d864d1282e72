"""What the warden's control door shows and does: a glance at the desk, keys, the button, re-arming, policies."""

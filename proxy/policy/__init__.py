"""What surrounds a policy's text: where its lines are, what changes between two, and how one takes effect."""

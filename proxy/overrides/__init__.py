"""Single-order overrides: asked for by one person, approved by another, used once by the gate."""

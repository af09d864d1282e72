"""What the warden is made of, put together: who is told of what by whom. Builds only; ``proxy.warden.warden`` runs."""

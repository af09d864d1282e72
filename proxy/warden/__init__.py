"""The warden's loops: what it hears and sees, what of the vault it carries to the store."""

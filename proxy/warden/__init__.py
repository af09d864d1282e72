"""The warden's loops: what it hears, what it keeps in the record, what of the vault it carries to the store."""

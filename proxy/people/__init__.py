"""The people of the desk: who may sign in, as what, and how they prove it. It knows nothing of pages and requests."""

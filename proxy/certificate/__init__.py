"""Signed certificates of what a kill did: written when a job ends, checked anywhere with a public key alone."""

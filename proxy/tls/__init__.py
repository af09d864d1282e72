"""TLS at the gates' door: a certificate authority of the guard's own, for its own names alone."""

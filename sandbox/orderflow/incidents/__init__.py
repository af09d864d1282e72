"""What goes wrong with an account, at moments that are known."""

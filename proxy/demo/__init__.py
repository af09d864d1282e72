"""The whole story on one machine: practice exchange, guard, an unmodified bot, and the button."""

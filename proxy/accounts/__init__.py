"""An account as the guard knows it: the book, surveys and holds reconciled, shares of bots, and who watches what."""

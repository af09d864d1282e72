"""What things were worth, and what they came to, kept for questions asked later."""

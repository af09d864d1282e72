"""The whole story on one machine, told step by step."""

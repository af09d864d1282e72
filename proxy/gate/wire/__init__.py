"""The HTTP/1.1 client that carries orders: one write, one strict reply, no second try. Read client.py first."""

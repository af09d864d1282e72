"""The store's client for the script calls of an order: pipelined, over few connections, without a task a call.

Everything else asks through redis-py. Why this one is written by hand: docs/decisions/0021-a-lean-client.md.
"""

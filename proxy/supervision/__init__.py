"""The supervisor: it starts store, warden and gates, starts again what dies, and relieves the gates one by one."""

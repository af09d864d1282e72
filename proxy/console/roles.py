"""Roles, where routes look for them; what they mean stands with the people who have them."""

from proxy.people.roles import Role

__all__ = ["Role"]

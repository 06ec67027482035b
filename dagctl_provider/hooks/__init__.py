"""Hooks: how workers reach a project's secrets."""

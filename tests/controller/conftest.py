"""The world of the services, for every test in this folder."""

from tests.services.world import world

__all__ = ["world"]

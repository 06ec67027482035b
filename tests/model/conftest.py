"""The world of the services, here behind the REST door."""

from tests.services.world import world

__all__ = ["world"]

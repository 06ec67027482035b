"""Which hosts a repository may live on; the rules stand beside those for addresses (:mod:`dagctl_provider.domain.repository`)."""

from dagctl_provider.runner.hosts import HostRefused, check_host, is_public_address

__all__ = ["HostRefused", "check_host", "is_public_address"]

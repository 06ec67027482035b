"""The REST contracts that are served. A further one is its folder and a row here."""

from __future__ import annotations

from dagctl_provider.api.v1.contract import V1
from dagctl_provider.api.v1.resources import RESOURCES as V1_RESOURCES

CONTRACTS = (V1,)
RESOURCES = V1_RESOURCES

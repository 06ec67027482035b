"""The REST contracts that are served. A further one is its folder and a row here."""

from __future__ import annotations

from typing import NamedTuple

from dagctl_provider.api.contracts import Contract
from dagctl_provider.api.resources import ContractApi
from dagctl_provider.api.v1.contract import V1
from dagctl_provider.api.v1.resources import RESOURCES as V1_RESOURCES


class Served(NamedTuple):
    """A contract, and how Airflow serves it.

    :param app: Name of the app at the contract's path, in Airflow's list of plugins.
    :param resources: Its classes of routes.
    """

    app: str
    contract: Contract
    resources: tuple[type[ContractApi], ...]


SERVED = (Served("dagctl", V1, V1_RESOURCES),)
CONTRACTS = tuple(row.contract for row in SERVED)
RESOURCES = tuple(resource for row in SERVED for resource in row.resources)

"""The contract's Flask AppBuilder resources, one for each tag."""

from __future__ import annotations

from dagctl_provider.api.resources import ContractApi, DocumentOfContract
from dagctl_provider.api.v1.contract import V1


class ProjectsApi(ContractApi, contract=V1, tag="Projects"):
    """Projects API."""

    resource_name = "projects"


class PlansApi(ContractApi, contract=V1, tag="Plans"):
    """Plans API."""

    resource_name = "plans"


class JobsApi(ContractApi, contract=V1, tag="Jobs"):
    """Jobs API."""

    resource_name = "jobs"


class TeamApi(ContractApi, contract=V1, tag="Team"):
    """Team API."""

    resource_name = "team"


class TokensApi(ContractApi, contract=V1, tag="Tokens"):
    """Tokens API."""

    resource_name = "tokens"


class VariablesApi(ContractApi, contract=V1, tag="Environment variables"):
    """Environment Variables API."""

    resource_name = "environment-variables"


class AuditApi(ContractApi, contract=V1, tag="Audit"):
    """Audit API."""

    resource_name = "audit"


class ProtectionsApi(ContractApi, contract=V1, tag="Environment protection"):
    """Environment protection API."""

    resource_name = "environment-protections"


class MetricsApi(ContractApi, contract=V1, tag="Execution metrics"):
    """Execution metrics API."""

    resource_name = "execution-metrics"


class DocumentApi(DocumentOfContract, contract=V1):
    """The OpenAPI document."""

    resource_name = "openapi"


RESOURCES = (
    ProjectsApi,
    PlansApi,
    JobsApi,
    TeamApi,
    TokensApi,
    VariablesApi,
    ProtectionsApi,
    AuditApi,
    MetricsApi,
    DocumentApi,
)

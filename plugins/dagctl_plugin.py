from dagctl_provider.plugin import DagctlPlugin  # noqa: F401 - for deployments that load plugins from a folder

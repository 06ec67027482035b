"""Where a project lives: repository address, branch and path, under the names by which all but the runner know them.

The rules stand in the runner's package, since the runner has to apply the same ones and has nothing but itself; see
`docs/decisions/one-rule-for-repositories.md`.
"""

from dagctl_provider.runner.repositories import (
    InvalidRepository,
    RepositoryAddress,
    check_branch,
    check_git_path,
    parse_repository_url,
)

__all__ = ["InvalidRepository", "RepositoryAddress", "check_branch", "check_git_path", "parse_repository_url"]

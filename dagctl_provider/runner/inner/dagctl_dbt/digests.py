"""What makes two dbt plans the same plan: what would be built from what, and on top of which deployed state.

An execute parses the commit again, in full, and compares. What dbt renders anew at every start, times for example, stays out.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagctl_common.digests import hashes_of
from dagctl_common.jobs import Job

from dagctl_dbt.differ_macros import internal_packages
from dagctl_dbt.differ_types import Facts, Manifest, Node


def digest_parts(
    job: Job,
    manifest: Manifest,
    facts: Facts,
    base: str | None,
    nodes: list[str],
    removed: list[str],
) -> dict[str, str]:
    """One short hash per part of the plan, so that a drift can be named.

    :param job: The job.
    :param manifest: Of the commit.
    :param facts: Beside it.
    :param base: Identity of the deployed state.
    :param nodes: Unique ids that will run.
    :param removed: Unique ids that are not in the commit any more.
    """
    internal = internal_packages(manifest)
    parts = {
        "commit": [job["commit_sha"], job["git_path"]],
        "environment": [job["profile"], facts.target],
        "options": [bool(job["run_tests"])],
        "tool": [job["tool"], job["tool_version"]],
        "base": base,
        "selection": sorted(nodes),
        "models": sorted(_node(node) for node in manifest["nodes"].values()),
        "removed": sorted(removed),
        "tests": sorted([key, test.get("checksum")] for key, test in (manifest.get("unit_tests") or {}).items()),
        "macros": sorted(
            [key, macro["macro_sql"]] for key, macro in manifest["macros"].items() if macro["package_name"] not in internal
        ),
        "vars": facts.vars,
        "packages": dict(facts.packages),
    }
    return hashes_of(parts)


def _node(node: Node) -> list[object]:
    config = node.get("config") or {}
    checksum = (node.get("checksum") or {}).get("checksum")
    # A seed too big for dbt to read has its path for a checksum, which is another one in each checkout.
    checksum = None if (node.get("checksum") or {}).get("name") == "path" else checksum
    return [node["unique_id"], checksum, node.get("unrendered_config"), config.get("materialized"), node.get("relation_name")]


WORDS: Mapping[str, str] = {
    "base": "another plan was deployed since",
    "commit": "commit or folder",
    "environment": "profile or target",
    "options": "test setting",
    "packages": "installed packages",
    "selection": "what would be built",
    "tool": "dbt version",
}
"""What the parts are called."""

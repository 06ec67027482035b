"""The tool versions a step may ask for, and the day as of which their dependencies are resolved.

An old SQLMesh with today's newest dependencies fails at its first plan; the same SQLMesh resolved as of the day after its
release works. dbt is better behaved, but an environment made next year should still be the one made today. So a version is
supported only together with its release day, and both stand here as data. The module imports nothing but the standard library:
the API server validates with it as well.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dagctl_provider.runner.errors import RunnerError

DEFAULT_TOOL = "sqlmesh"
"""The tool of requests that name none."""

_SQLMESH_RELEASES: Mapping[str, str] = {
    "0.130": "0=2024-10-30 1=2024-11-01 2=2024-11-04",
    "0.131": "0=2024-11-08",
    "0.132": "0=2024-11-12 1=2024-11-13",
    "0.133": "0=2024-11-18",
    "0.134": "0=2024-11-21",
    "0.135": "0=2024-11-21 1=2024-11-22",
    "0.136": "0=2024-11-22 1=2024-11-25 2=2024-12-12",
    "0.137": "0=2024-11-27 1=2024-11-27",
    "0.138": "0=2024-12-03 1=2024-12-10",
    "0.139": "0=2024-12-05",
    "0.140": "0=2024-12-12 1=2024-12-12",
    "0.141": "0=2024-12-20 1=2024-12-20",
    "0.142": "0=2025-01-03 1=2025-01-05 2=2025-01-06 3=2025-01-08 4=2025-01-14 5=2025-01-16 6=2025-01-19 7=2025-01-20",
    "0.143": "0=2025-01-07 1=2025-01-08",
    "0.144": "0=2025-01-09",
    "0.145": "0=2025-01-14",
    "0.146": "0=2025-01-15",
    "0.147": "0=2025-01-17 1=2025-01-19",
    "0.148": "0=2025-01-20",
    "0.149": "0=2025-01-22",
    "0.150": "0=2025-01-23 1=2025-01-24",
    "0.151": "0=2025-01-25 1=2025-01-27 2=2025-01-31 3=2025-02-07 4=2025-02-13 5=2025-02-14 6=2025-02-19 7=2025-02-19",
    "0.152": "0=2025-01-28",
    "0.153": "0=2025-02-03 1=2025-02-03",
    "0.154": "0=2025-02-04",
    "0.155": "0=2025-02-07",
    "0.156": "0=2025-02-10",
    "0.157": "0=2025-02-12",
    "0.158": "0=2025-02-14 1=2025-02-14 2=2025-02-14",
    "0.159": "0=2025-02-20 1=2025-02-21 2=2025-02-24 3=2025-02-26 4=2025-02-27 5=2025-02-28 6=2025-03-03 7=2025-03-07",
    "0.160": "0=2025-02-25",
    "0.161": "0=2025-02-26",
    "0.162": "0=2025-02-27 1=2025-02-27 2=2025-02-28 3=2025-03-07",
    "0.163": "0=2025-03-05",
    "0.164": "0=2025-03-07",
    "0.165": "0=2025-03-13",
    "0.166": "0=2025-03-17",
    "0.167": "0=2025-03-18 1=2025-03-21",
    "0.168": "0=2025-03-26",
    "0.169": "0=2025-03-26 1=2025-03-27",
    "0.170": "0=2025-03-28 1=2025-03-29",
    "0.171": "0=2025-04-07 1=2025-04-09 2=2025-04-09",
    "0.172": "0=2025-04-11 1=2025-04-11 2=2025-04-16 3=2025-04-21 4=2025-04-28 "
    "5=2025-05-05 6=2025-05-07 7=2025-05-16 8=2025-05-16",
    "0.173": "0=2025-04-14 1=2025-04-15",
    "0.174": "0=2025-04-15 1=2025-04-17 2=2025-04-17",
    "0.175": "0=2025-04-18 1=2025-04-21 2=2025-04-22",
    "0.176": "0=2025-04-22",
    "0.177": "0=2025-04-25 1=2025-04-25 2=2025-04-28",
    "0.178": "0=2025-04-28 1=2025-04-28 2=2025-04-29",
    "0.179": "0=2025-05-07",
    "0.180": "0=2025-05-07",
    "0.181": "0=2025-05-08 1=2025-05-09",
    "0.182": "0=2025-05-13",
    "0.183": "0=2025-05-15",
    "0.184": "0=2025-05-16 1=2025-05-16 2=2025-05-19 3=2025-05-20",
    "0.185": "0=2025-05-22 1=2025-05-22",
    "0.186": "0=2025-05-22 1=2025-05-23",
    "0.187": "0=2025-05-26 1=2025-05-26 2=2025-05-26 3=2025-05-27 4=2025-05-27 5=2025-05-27 "
    "6=2025-05-30 7=2025-06-06 8=2025-06-10 9=2025-06-23 10=2025-07-04",
    "0.188": "0=2025-06-02 1=2025-06-02",
    "0.189": "0=2025-06-04 1=2025-06-04 2=2025-06-05",
    "0.190": "0=2025-06-10",
    "0.191": "0=2025-06-11",
    "0.192": "0=2025-06-12 1=2025-06-13 2=2025-06-16",
    "0.193": "0=2025-06-16 1=2025-06-16",
    "0.194": "0=2025-06-18 1=2025-06-19",
    "0.195": "0=2025-06-23",
    "0.196": "0=2025-06-23 1=2025-06-23 2=2025-06-24 3=2025-06-25 4=2025-06-26",
    "0.197": "0=2025-06-30 1=2025-07-01 2=2025-07-02 3=2025-07-07 4=2025-07-08 5=2025-07-16 6=2025-07-28 7=2025-08-01",
    "0.198": "0=2025-07-01",
    "0.199": "0=2025-07-02",
    "0.200": "0=2025-07-08",
    "0.201": "0=2025-07-15 1=2025-07-16",
    "0.202": "0=2025-07-17 1=2025-07-18",
    "0.203": "0=2025-07-24",
    "0.204": "0=2025-07-25",
    "0.205": "0=2025-07-28",
    "0.206": "0=2025-07-30 1=2025-07-30",
    "0.207": "0=2025-08-01",
    "0.208": "0=2025-08-07 1=2025-08-07",
    "0.209": "0=2025-08-08 1=2025-08-19 2=2025-08-29 3=2025-09-11 4=2025-11-17",
    "0.210": "0=2025-08-21",
    "0.211": "0=2025-08-26 1=2025-08-26 2=2025-08-27",
    "0.212": "0=2025-09-01",
    "0.213": "0=2025-09-02 1=2025-09-02",
    "0.214": "0=2025-09-03",
    "0.215": "0=2025-09-05",
    "0.216": "0=2025-09-08",
    "0.217": "0=2025-09-10",
    "0.218": "0=2025-09-15",
    "0.219": "0=2025-09-16",
    "0.220": "0=2025-09-17 1=2025-09-17 2=2025-09-18",
    "0.221": "0=2025-09-19 1=2025-09-19 2=2025-09-23",
    "0.222": "0=2025-09-24",
    "0.223": "0=2025-09-25",
    "0.224": "0=2025-09-29",
    "0.225": "0=2025-10-08",
    "0.226": "0=2025-10-16",
    "0.227": "0=2025-10-30 1=2025-10-31",
    "0.228": "0=2025-12-11 1=2025-12-20 2=2026-01-16 3=2026-01-20 4=2026-01-20 5=2026-01-22",
    "0.229": "0=2026-02-03",
    "0.230": "0=2026-02-04 1=2026-02-17",
    "0.231": "0=2026-03-03 1=2026-03-06",
    "0.232": "0=2026-03-26",
    "0.233": "0=2026-04-02",
    "0.234": "0=2026-04-08 1=2026-04-17",
    "0.235": "2=2026-05-21 3=2026-05-21 4=2026-06-11",
    "0.236": "0=2026-07-06 1=2026-07-24 2=2026-09-08 3=2026-10-06 4=2026-10-22",
}
"""Final SQLMesh releases: minor version -> ``patch=day`` pairs. The day is the release day of the last file, in UTC."""

_DBT_RELEASES: Mapping[str, str] = {
    "1.5": "0=2023-04-27 1=2023-05-30 2=2023-06-22 3=2023-07-17 4=2023-07-28 5=2023-08-17 6=2023-08-21 7=2023-09-28 "
    "8=2023-10-11 9=2023-10-31 10=2024-02-28 11=2024-03-28 12=2026-08-14",
    "1.6": "0=2023-07-31 1=2023-08-23 2=2023-09-07 3=2023-09-19 4=2023-09-28 5=2023-10-02 6=2023-10-11 7=2023-11-01 "
    "8=2023-11-08 9=2023-11-16 10=2024-02-28 11=2024-03-28 12=2024-04-16 13=2024-04-18 14=2024-05-03 15=2024-05-22 "
    "16=2024-06-05 17=2024-06-20 18=2024-08-07 19=2026-08-14",
    "1.7": "0=2023-11-02 1=2023-11-07 2=2023-11-16 3=2023-11-29 4=2023-12-14 5=2024-01-18 6=2024-01-25 7=2024-02-01 "
    "8=2024-02-14 9=2024-02-28 10=2024-03-14 11=2024-03-28 12=2024-04-16 13=2024-04-18 14=2024-05-02 15=2024-05-22 "
    "16=2024-06-05 17=2024-06-20 18=2024-08-07 19=2024-12-02 20=2026-08-14",
    "1.8": "0=2024-05-09 1=2024-05-22 2=2024-06-05 3=2024-06-20 4=2024-07-18 5=2024-08-07 6=2024-08-29 7=2024-09-24 "
    "8=2024-10-23 9=2024-11-21 10=2026-08-14",
    "1.9": "0=2024-12-09 1=2024-12-16 2=2025-01-29 3=2025-03-07 4=2025-04-02 5=2025-05-28 6=2025-05-30 7=2025-06-09 "
    "8=2025-06-10 9=2025-08-15 10=2025-08-29 11=2026-08-13",
    "1.10": "0=2025-06-16 1=2025-06-16 2=2025-06-20 3=2025-07-02 4=2025-07-10 5=2025-07-22 6=2025-07-29 7=2025-08-07 "
    "8=2025-08-12 9=2025-08-15 10=2025-08-28 11=2025-09-04 13=2025-09-25 15=2025-11-12 16=2025-12-16 17=2025-12-20 "
    "18=2026-01-06 19=2026-01-20 20=2026-03-03 21=2026-05-14 22=2026-05-20 23=2026-08-12",
    "1.11": "2=2025-12-22 3=2026-02-05 4=2026-02-09 5=2026-02-13 6=2026-02-17 7=2026-03-04 8=2026-04-08 9=2026-05-06 "
    "10=2026-05-14 11=2026-05-20 12=2026-07-01 13=2026-08-12 14=2026-08-20 15=2026-09-08 16=2026-10-14",
    "1.12": "0=2026-07-16 1=2026-08-12 2=2026-08-12 3=2026-08-21 4=2026-09-08 5=2026-09-15 6=2026-10-14",
}
"""Final dbt-core releases that were not withdrawn, in the same form."""

_ADAPTERS_FOLLOW = datetime.timedelta(days=120)
"""Up to dbt 1.7 an adapter fits one minor version of dbt-core only, and most came out in the months after it."""


@dataclass(frozen=True)
class ToolVersion:
    """One version a project may name.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    :param version: Exact version, for example ``"0.236.4"``.
    :param released: Day of release.
    :param resolved: Day as of which its dependencies are resolved.
    """

    tool: str
    version: str
    released: datetime.date
    resolved: datetime.date

    @property
    def cutoff(self) -> str:
        """Day given to the resolver: everything published later is invisible to it.

        :return: ISO date, the day after the one resolved as of, so that what came out on that day is still visible.
        """
        return (self.resolved + datetime.timedelta(days=1)).isoformat()


def _read_table(
    tool: str, releases: Mapping[str, str], settle: Callable[[str], datetime.timedelta] = lambda minor: datetime.timedelta()
) -> Mapping[str, ToolVersion]:
    rows: dict[str, ToolVersion] = {}
    for minor, patches in releases.items():
        days = {patch: datetime.date.fromisoformat(day) for patch, day in (pair.split("=") for pair in patches.split())}
        settled = min(days.values()) + settle(minor)
        for patch, day in days.items():
            rows[f"{minor}.{patch}"] = ToolVersion(tool, f"{minor}.{patch}", day, max(day, settled))
    return rows


def _adapters_follow(minor: str) -> datetime.timedelta:
    return _ADAPTERS_FOLLOW if minor in ("1.5", "1.6", "1.7") else datetime.timedelta()


TOOL_VERSIONS: Mapping[str, Mapping[str, ToolVersion]] = {
    "sqlmesh": _read_table("sqlmesh", _SQLMESH_RELEASES),
    "dbt": _read_table("dbt", _DBT_RELEASES, _adapters_follow),
}
"""tool -> version -> row, oldest first."""

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def version_key(version: str) -> tuple[int, ...]:
    """Sort key of a version of three numbers.

    :param version: For example ``"0.236.4"``.
    """
    return tuple(int(part) for part in version.split("."))


def supported_versions(tool: str) -> list[str]:
    """All versions a project may name, oldest first.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    :raises RunnerError: ``tool_version_unsupported`` for an unknown tool.
    """
    if tool not in TOOL_VERSIONS:
        raise RunnerError("tool_version_unsupported", f"Tool {tool[:40]!r} is not supported; choose {', '.join(TOOL_VERSIONS)}.")
    return list(TOOL_VERSIONS[tool])


def default_version(tool: str) -> str:
    """The newest supported version.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    """
    return supported_versions(tool)[-1]


def resolve_version(tool: str, version: str | None) -> ToolVersion:
    """Look a version up.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    :param version: Exact version; ``None`` means the newest.
    :raises RunnerError: ``tool_version_unsupported``, naming the nearest supported versions.
    """
    known = supported_versions(tool)
    if version is None:
        return TOOL_VERSIONS[tool][known[-1]]
    if version in TOOL_VERSIONS[tool]:
        return TOOL_VERSIONS[tool][version]
    raise RunnerError(
        "tool_version_unsupported",
        f"{tool} {version[:40]!r} is not supported; near it: {', '.join(_nearest(known, version))}.",
    )


def _nearest(known: list[str], version: str) -> list[str]:
    if not _VERSION.fullmatch(version) or len(version) > 20:
        return difflib.get_close_matches(version[:40], known, n=3) or [known[0], known[-1]]
    older = [row for row in known if version_key(row) < version_key(version)]
    newer = [row for row in known if version_key(row) > version_key(version)]
    return older[-1:] + newer[:1]


_DBT_PYTHONS: Mapping[str, tuple[str, str]] = {
    "1.5": ("3.9", "3.11"),
    "1.6": ("3.9", "3.11"),
    "1.11": ("3.10", "3.13"),
    "1.12": ("3.10", "3.13"),
}
"""dbt's minor versions that do not run on all of Python 3.9 to 3.13: the first two import distutils, which 3.12 dropped, the
last two say so themselves. Built with DuckDB: 1.5 and 1.10 on 3.9, 1.7 on 3.12 and 3.13, 1.8 on 3.13, 1.12 on 3.10 and 3.13."""


def check_python(tool: str, version: str, python: str) -> None:
    """Refuse an interpreter that a version of a tool does not run on.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    :param version: Exact version.
    :param python: For example ``"3.11"``.
    :raises RunnerError: ``tool_version_unsupported``.
    """
    if tool != "dbt":
        return
    oldest, newest = _DBT_PYTHONS.get(version.rpartition(".")[0], ("3.9", "3.13"))
    if not version_key(oldest) <= version_key(python)[:2] <= version_key(newest):
        raise RunnerError(
            "tool_version_unsupported",
            f"dbt {version} runs on Python {oldest} to {newest}, not on {python}; set 'python_version'.",
        )


def is_downgrade(deployed: str | None, wanted: str) -> bool:
    """Whether the wanted version is too old for a state written by the deployed one.

    Patch releases of one minor version share their state; an older minor version cannot read a newer one's.

    :param deployed: Version that wrote the state, when known.
    :param wanted: Version the step asks for.
    """
    if not deployed or not _VERSION.fullmatch(deployed) or not _VERSION.fullmatch(wanted):
        return False
    return version_key(wanted)[:2] < version_key(deployed)[:2]

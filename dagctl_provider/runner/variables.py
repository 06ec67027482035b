"""Which variables of its tool's environment a project's credentials may not set, and which those of an organization may not.

Whoever edits a connection changes credentials: who the tool is to the warehouse. What code runs is the commit's business, which
people review, and the machine's. So a variable by which a program, an interpreter or a library finds what it loads or starts is
refused, and one that the machine's administrator means comes from the machine (``DAGCTL_PASS_ENV``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PROTECTED: Mapping[str, str] = {
    r"PATH": "which programs are found",
    r"HOME|XDG_\w+": "where programs look for their configuration, which may name commands",
    r"TMPDIR|TEMP|TMP": "a fixed place: fingerprints take it in",
    r"DAGCTL_\w+": "what the runner is told by the machine",
    r"LD_\w+|DYLD_\w+|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|NLSPATH": "which libraries every program loads",
    r"PYTHON\w*|VIRTUAL_ENV|__PYVENV_LAUNCHER__": "which modules Python loads, and what it runs at its start",
    r"UV_\w+|PIP_\w+": "where packages come from",
    r"GIT_\w+|SSH_ASKPASS\w*": "which commands git and ssh start",
    r"BASH_ENV|BASH_FUNC_.*|BASHOPTS|SHELLOPTS|IFS|PS4|SHELL": "what a shell runs before its script",
    r"EDITOR|VISUAL|PAGER|BROWSER|LESSOPEN|LESSCLOSE": "which programs are started to show something",
    r"PERL5\w*|PERLLIB|RUBYOPT|RUBYLIB|NODE_OPTIONS|NODE_PATH|LUA_(INIT|PATH|CPATH)\w*": "which modules other interpreters load",
    r"JAVA_HOME|JDK_JAVA_OPTIONS|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|CLASSPATH": "which classes and agents Java loads",
    r"SPARK_(HOME|CONF_DIR|ENV_\w+|\w*OPTS|\w*CLASSPATH)|PYSPARK_\w+|HADOOP_(HOME|CONF_DIR|\w*OPTS|\w*CLASSPATH)": (
        "which programs and classes Spark starts"
    ),
    r"OPENSSL_\w+|ODBC\w+|KRB5_CONFIG|GSS_MECH_CONFIG|SASL_PATH": "configurations that name libraries to load",
    r"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "whether a credentials file may name a program",
}
"""Pattern of whole names -> what such a variable chooses. A tool's own are :data:`OF_TOOLS`."""

OF_TOOLS: Mapping[str, str] = {
    "sqlmesh": r"SQLMESH_HOME",
    # What would make dbt run something else than what was explained.
    "dbt": (
        r"DBT_(ENGINE_)?(STATE|DEFER\w*|FAVOR_STATE|FULL_REFRESH|RESOURCE_TYPES|EXCLUDE_RESOURCE_TYPES|INDIRECT_SELECTION"
        r"|EMPTY|SAMPLE|FAIL_FAST|PARTIAL_PARSE\w*|PROFILE|TARGET|PROJECT_DIR|WRITE_JSON|USE_V2_PARSER|VARS|STORE_FAILURES"
        r"|STATIC_PARSER|LOG_FORMAT\w*|LOG_LEVEL\w*|QUIET|SINGLE_THREADED)|DBT_ENGINE_\w+"
    ),
}
"""Tool -> pattern of the variables of its own that nobody else may set."""

OF_EVERY_STEP: Mapping[str, str] = {
    r"AIRFLOW\w*": "what belongs to Airflow",
    r"KUBERNETES_\w+": "where the cluster is",
    r"ENV": "what a shell runs before its script",
    r"SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE": "whose certificates are believed",
    r"HTTP_PROXY|HTTPS_PROXY|FTP_PROXY|ALL_PROXY|NO_PROXY|SOCKS_PROXY": "by which way every connection goes",
    r"PGAPPNAME": "how a step is told from others in the warehouse",
}
"""What the variables of an organization may not set in addition: they reach steps of projects that did not ask for them."""

_ANY = re.compile("|".join(PROTECTED))
_RESERVED = {
    re.compile(pattern): what
    for pattern, what in {
        **PROTECTED,
        **OF_EVERY_STEP,
        **{pattern: f"what {tool} runs" for tool, pattern in OF_TOOLS.items()},
    }.items()
}


def is_protected(name: str) -> bool:
    """Whether only the runner and the machine may set a variable.

    :param name: Its name.
    """
    return _ANY.fullmatch(name) is not None


def reserved_for(name: str) -> str | None:
    """What a variable chooses that an organization may not set; ``None`` when it may.

    :param name: Its name, in upper case.
    """
    return next((what for pattern, what in _RESERVED.items() if pattern.fullmatch(name)), None)

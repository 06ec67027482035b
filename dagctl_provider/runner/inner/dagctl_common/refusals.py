"""Tells a warehouse that cannot be reached, or says no, from a statement that is wrong."""

from __future__ import annotations

import re

_REFUSED = re.compile(
    r"could not connect|failed to connect|connection (refused|reset|timed out|to server)|could not translate host"
    r"|name or service not known|no route to host|network is unreachable|timeout expired|server closed the connection"
    r"|the database system is|authentication failed|access denied|permission denied|insufficient privileges|not authorized"
    r"|unauthorized|forbidden|login failed|\b40[13] (client error|get|post)\b|incorrect username or password|no pg_hba"
    r"|default credentials were not found|could not automatically determine credentials|unable to locate credentials"
    r"|remaining connection slots|could not set lock on file|cannot open file|(role|database) \"[^\"]*\" does not exist",
    re.IGNORECASE,
)


def is_refusal(text: object) -> bool:
    """Whether it was the warehouse that could not be reached or said no.

    :param text: What a driver said.
    """
    return bool(_REFUSED.search(str(text)))

"""How one Python requirement may be written: a name, extras, versions and a marker, and nothing that leads elsewhere.

The installer would also take addresses, paths and options, and do what they say. What a project asks for comes from the package
index that the deployment has chosen, so anything else is refused, and by this reading rather than by the installer's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LINE_LIMIT = 500
"""Characters of one requirement without its hashes."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = (
    r"v?(?:\d+!)?\d+(?:\.\d+)*(?:[-_.]?(?:alpha|a|beta|b|preview|pre|c|rc)[-_.]?\d*)?(?:-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?"
    r"(?:[-_.]?dev[-_.]?\d*)?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?(?:\.\*)?"
)
_CLAUSE = rf"(?:===|~=|==|!=|<=|>=|<|>) ?{_VERSION}"
# Runs of blanks are one blank by then, so that no text makes this slow.
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME}) ?(?:\[ ?(?P<extras>{_NAME}(?: ?, ?{_NAME})*)? ?\] ?)?"
    rf"(?P<versions>{_CLAUSE}(?: ?, ?{_CLAUSE})*)? ?(?:; ?(?P<marker>.+))?",
    re.IGNORECASE,
)
_MARKER_TOKEN = re.compile(
    r" *(?:(?P<parenthesis>[()])|(?P<operator>===|~=|==|!=|<=|>=|<|>|not in\b|in\b)|(?P<both>and\b|or\b)"
    r"|(?P<value>\"[^\"\\]*\"|'[^'\\]*'|(?:os_name|sys_platform|platform_(?:machine|python_implementation|release|system|version)"
    r"|python_(?:full_)?version|implementation_(?:name|version))\b)) *"
)
_PATH = re.compile(r"[./~\\]|[A-Za-z]:[\\/]")
_ARCHIVE = re.compile(r"\.(whl|zip|tar|tgz|tbz|txz|tlz|tar\.\w+)(?![\w.-])", re.IGNORECASE)


class UnreadableRequirement(ValueError):
    """A requirement that is refused; the message is the reason, in words that can follow the place where it stands."""


@dataclass(frozen=True)
class Requirement:
    """One requirement.

    :param name: Of the package, in the one spelling that all indexes know it by.
    :param text: As the installer gets it, without hashes.
    :param versions: The versions that fit, as written; empty for all.
    :param where: File and line.
    :param hashes: Hashes of the files that may be installed; none: any that the index has.
    """

    name: str
    text: str
    versions: str = ""
    where: str = field(default="", compare=False)
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


def canonical_name(name: str) -> str:
    """The spelling of a package's name by which all spellings of it are compared.

    :param name: Any spelling.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirement(text: str, where: str = "") -> Requirement:
    """Read one requirement.

    :param text: Without comment and hashes.
    :param where: File and line, for messages.
    :raises UnreadableRequirement: when it is anything else than name, extras, versions and marker.
    """
    if len(text) > LINE_LIMIT:
        raise UnreadableRequirement(f"is longer than {LINE_LIMIT} characters")
    line = " ".join(text.split())
    found = _REQUIREMENT.fullmatch(line)
    # An installer would look for a file of such a name.
    if found is None or not line.isprintable() or _ARCHIVE.search(found["name"]):
        raise UnreadableRequirement(_reason(line))
    marker = found["marker"]
    if marker is not None and not _is_marker(marker):
        raise UnreadableRequirement("has a marker that cannot be read")
    extras = f"[{','.join(part.strip() for part in found['extras'].split(','))}]" if found["extras"] else ""
    versions = (found["versions"] or "").replace(" ", "")
    return Requirement(
        canonical_name(found["name"]),
        f"{found['name']}{extras}{versions}" + (f" ; {marker}" if marker else ""),
        versions,
        where,
    )


def _reason(line: str) -> str:
    """Why a line is refused. The line itself is not repeated: an address may hold a password."""
    if line.startswith("-"):
        option = re.match(r"--?[A-Za-z][\w-]*", line)
        return f"holds the option {option[0] if option else '-'}, and options are not taken from a project"
    bare = line.partition(";")[0]
    if re.match(r"(git|hg|svn|bzr)\+", bare) or "git@" in bare:
        return "names a version control repository; only packages of the package index are installed"
    if "://" in bare or re.search(r"\w\s*@", bare):
        return "names an address; only packages of the package index are installed"
    if _PATH.match(bare) or "/" in bare or "\\" in bare or _ARCHIVE.search(bare):
        return "names a path; only packages of the package index are installed"
    return "cannot be read as a requirement such as faker>=30,<41"


def _is_marker(text: str) -> bool:
    shape, position = "", 0
    while position < len(text):
        token = _MARKER_TOKEN.match(text, position)
        if token is None:
            return False
        shape += token["parenthesis"] or {"operator": "o", "both": "b", "value": "v"}[token.lastgroup or ""]
        position = token.end()
    while True:
        smaller = shape.replace("vov", "e").replace("(e)", "e").replace("ebe", "e")
        if smaller == shape:
            return shape == "e"
        shape = smaller

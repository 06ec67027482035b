"""Who owns which file, as a CODEOWNERS file says it.

The last line that fits a file decides, as on the git hosts. What cannot be read is told rather than left out, because a line that
falls away may be the one that asked for somebody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dagctl_provider.domain.globs import matches

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
"""Where the file may lie; the first that is there counts."""
MOST_BYTES = 1_000_000
MOST_LINES = 2_000


@dataclass(frozen=True)
class OwnerLine:
    """One line.

    :param owners: As they are written: e-mail addresses, or names after an ``@``. Empty: the files belong to nobody.
    """

    number: int
    pattern: str
    owners: tuple[str, ...]


@dataclass(frozen=True)
class CodeOwners:
    """A file.

    :param path: Where it lies; ``None`` when the commit has none.
    :param unread: What of it could not be read, in words; nobody is known to own anything then.
    """

    path: str | None
    lines: tuple[OwnerLine, ...] = ()
    unread: str | None = None

    def line_for(self, path: str) -> OwnerLine | None:
        """The line that decides about a file."""
        return next((line for line in reversed(self.lines) if matches(line.pattern, path)), None)

    def lines_for(self, paths: Iterable[str | None]) -> tuple[OwnerLine, ...]:
        """The lines whose owners have to agree; for a file whose place is not known, all of them.

        :param paths: Of the files that change.
        """
        found: dict[int, OwnerLine] = {}
        for path in dict.fromkeys(paths):
            for line in self.lines if path is None else (self.line_for(path),):
                if line is not None and line.owners:
                    found[line.number] = line
        return tuple(found[number] for number in sorted(found))


def read(path: str, text: str) -> CodeOwners:
    """A file from its text.

    :param path: Where it lies.
    """
    rows = text.splitlines()
    if len(rows) > MOST_LINES:
        return CodeOwners(path, unread=f"{path} has more than {MOST_LINES:,} lines")
    lines = []
    for number, row in enumerate(rows, 1):
        words = _words(row)
        if not words:
            continue
        if words[0].startswith(("!", "[", "^[")):
            return CodeOwners(path, unread=f"line {number} of {path} is no pattern with its owners")
        odd = next((word for word in words[1:] if "@" not in word), None)
        if odd is not None:
            return CodeOwners(path, unread=f"line {number} of {path} names an owner that is neither an address nor an @name")
        lines.append(OwnerLine(number, words[0], tuple(words[1:])))
    return CodeOwners(path, tuple(lines))


def _words(row: str) -> list[str]:
    """The words before a comment; a space that a backslash stands before belongs to its word."""
    words, word, escaped = [], "", False
    for character in row.strip():
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = True
        elif character == "#" and not word:
            break
        elif character.isspace():
            words += [word] if word else []
            word = ""
        else:
            word += character
    return [*words, word] if word else words

"""What two runs of the same code would do differently, and what is done about it. All the rest is compared as it is.

* Times: the clock stands still, and goes on by a second with each request of :mod:`tests.compare.story`.
* Randomness (ids, secrets): drawn from a row of numbers that begins anew with each of those seconds. So a version that draws once
  more than the other, or in another order, goes apart from it for one request at most.
* Ids: what stands in the answers is their kind and how many came before, ``plan_<1>``, so that one that is drawn otherwise is not
  a difference in every answer; the same for the end of a project's id in the names of its Dags. What is made from ids
  (fingerprints, versions of pages) stays, and differs then.
* Folders and the dates of files are the same, for both versions lie at the same place when they are asked.
"""

from __future__ import annotations

import random
import re
import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(rf"\b([a-z]{{2,12}}[_-])([{_ALPHABET}]{{20}})(?![0-9a-z])")


class Dice:
    """Takes the place of the system's randomness in :mod:`secrets`."""

    def __init__(self) -> None:
        self._random = random.Random()
        self.begin(0)

    def begin(self, seed: int) -> None:
        """Begin a row of numbers."""
        self._random.seed(seed)

    def install(self) -> None:
        """From now on, for the whole process."""
        secrets.randbits = self._random.getrandbits
        secrets.choice = self._random.choice  # type: ignore[assignment]
        secrets.token_bytes = lambda size=32: self._random.randbytes(size or 32)
        secrets.token_hex = lambda size=32: self._random.randbytes(size or 32).hex()
        secrets.token_urlsafe = lambda size=32: self._random.randbytes(size or 32).hex()


class Varying:
    """Puts words in the place of ids.

    :param since: The time from which on ids are made, in milliseconds; others are left alone.
    """

    def __init__(self, since: int) -> None:
        self._since = since
        self._ids: dict[str, str] = {}
        self._tails: dict[str, str] = {}

    def replaced(self, text: str) -> str:
        """``text`` as it is compared."""
        text = _ID.sub(self._word, text)
        for tail, word in self._tails.items():
            text = text.replace(tail, word)
        return text

    def _word(self, match: re.Match[str]) -> str:
        prefix, body = match.groups()
        moment = 0
        for character in body[:10]:
            moment = moment * 32 + _ALPHABET.index(character)
        if not self._since <= moment < self._since + 86_400_000:
            return match[0]
        if match[0] not in self._ids:
            number = 1 + sum(word.startswith(f"{prefix}<") for word in self._ids.values())
            self._ids[match[0]] = f"{prefix}<{number}>"
            if prefix == "proj_":
                self._tails[f"__{body[-8:]}"] = f"__<end of proj_{number}>"
        return self._ids[match[0]]

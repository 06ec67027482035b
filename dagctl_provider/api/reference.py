"""The tables of ``docs/api.md``, made from the tables of the code: ``python -m dagctl_provider.api.reference docs/api.md``."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from dagctl_provider.api.contracts import Contract
from dagctl_provider.api.registry import CONTRACTS
from dagctl_provider.domain.errors import ERRORS
from dagctl_provider.domain.permissions import PERMISSIONS, ROLES


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def routes() -> str:
    """All operations."""
    rows = [row for contract in CONTRACTS for row in _routes(contract)]
    return _table(("Request", "What it does", "Permission", "Answers"), rows)


def _routes(contract: Contract) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            f"`{operation.method} {contract.prefix}{operation.path}`",
            operation.summary,
            f"`{operation.permission}`" if operation.permission else "none, signed in",
            ", ".join(str(status) for status in operation.answers),
        )
        for operation in contract.operations
    ]
    rows.append((f"`GET {contract.document_path}`", "The OpenAPI 3.1 document", "none, public", "200"))
    return rows


def errors() -> str:
    """All error codes."""
    by_status = sorted(ERRORS.items(), key=lambda item: (item[1].status, item[0]))
    return _table(
        ("Code", "Status", "Meaning", "What to do"),
        ((f"`{code}`", str(kind.status), kind.title, kind.hint) for code, kind in by_status),
    )


def _roles(held: Collection[str]) -> str:
    return ", ".join(role for role in ROLES if role in held)


def permissions() -> str:
    """All permissions, with the roles that hold them."""
    rows = (
        (f"`{name}`", row.description, ", ".join(role for role in ROLES if role in row.roles))
        for name, row in PERMISSIONS.items()
    )
    return _table(("Permission", "Allows", "Roles"), rows)


END = "<!-- end -->"
TABLES = {"routes": routes, "errors": errors, "permissions": permissions}


def filled(text: str) -> str:
    """``text`` with the table between each pair of markers made anew."""
    for name, table in TABLES.items():
        begin = f"<!-- {name} -->\n"
        head, _, rest = text.partition(begin)
        _, end, tail = rest.partition(END)
        text = f"{head}{begin}{table()}\n{end}{tail}"
    return text


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")

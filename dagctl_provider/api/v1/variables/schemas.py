"""The shape of requests and answers on environment variables. What else may not be a variable says ``domain/variables.py``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from dagctl_provider.api.models import Answer, Count, Request, Timestamp, storable
from dagctl_provider.domain.variables import FOLDERS, MODE, MOST_LIMITS, NAME_PATTERN, VALUE_BYTES
from dagctl_provider.services.results import ShownVariable

_Name = Annotated[
    StrictStr,
    Field(max_length=255, pattern=NAME_PATTERN, description="Stored in upper case; what chooses which code runs is reserved"),
]
_Value = Annotated[
    StrictStr,
    AfterValidator(storable),
    Field(max_length=VALUE_BYTES, description=f"At most {VALUE_BYTES // 1024} KiB of UTF-8; of a file, its content"),
]
_IsSensitive = Annotated[StrictBool, Field(description="Never shown again, and hidden in logs")]
_MountAsFile = Annotated[StrictBool, Field(description="The value lies in a file, and the variable holds the file's path")]
_Path = Annotated[
    StrictStr,
    Field(min_length=1, max_length=512, description=f"Below {', '.join(FOLDERS)}; `/secrets/NAME` where it is absent"),
]
_Mode = Annotated[StrictInt, Field(ge=0, le=0o777, description=f"As a decimal number; {MODE} (0600) where it is absent")]
_Projects = Annotated[
    list[Annotated[StrictStr, Field(max_length=64), AfterValidator(storable)]],
    Field(min_length=1, max_length=MOST_LIMITS, description="Only for steps of these projects"),
]
_Environments = Annotated[
    list[Annotated[StrictStr, Field(max_length=63), AfterValidator(storable)]],
    Field(min_length=1, max_length=MOST_LIMITS, description="Only for steps in these environments"),
]


class CreateVariable(Request):
    """A new environment variable."""

    name: _Name
    value: _Value
    is_sensitive: _IsSensitive = True
    mount_as_file: _MountAsFile = False
    file_mount_path: _Path | None = None
    file_permissions: _Mode | None = None
    project_ids: _Projects | None = None
    environments: _Environments | None = None


class UpdateVariable(Request):
    """What to change; fields left out stay as they are."""

    # Texts and truths where they are sent: null is refused.
    value: _Value = None  # type: ignore[assignment]
    is_sensitive: _IsSensitive = None  # type: ignore[assignment]
    mount_as_file: _MountAsFile = None  # type: ignore[assignment]
    file_mount_path: _Path | None = None
    file_permissions: _Mode | None = None
    project_ids: _Projects | None = None
    environments: _Environments | None = None


class VariableAnswer(Answer):
    """An environment variable."""

    name: str
    value: str | None = Field(None, description="`***` where it is sensitive; absent where it cannot be decrypted any more")
    is_sensitive: bool
    mount_as_file: bool
    file_mount_path: str | None = None
    file_permissions: Annotated[int, Field(ge=0, le=0o777)] | None = Field(None, description="As a decimal number")
    project_ids: list[str] | None = Field(None, description="Absent: for all projects of the organization")
    environments: list[str] | None = Field(None, description="Absent: for all environments")
    undecryptable: bool | None = Field(
        None,
        description="It cannot be decrypted any more and has to be set anew; until then no step begins that would get it",
    )
    created_at: Timestamp
    updated_at: Timestamp


class VariableList(Answer):
    """All environment variables of an organization."""

    environment_variables: list[VariableAnswer]
    total: Count


_SAME = ("name", "is_sensitive", "mount_as_file", "file_mount_path", "file_permissions", "created_at", "updated_at")


def variable(shown: ShownVariable) -> VariableAnswer:
    """A variable for the API."""
    found = shown.variable
    return VariableAnswer(
        **{name: getattr(found, name) for name in _SAME},
        value=shown.value,
        project_ids=list(found.project_ids) if found.project_ids else None,
        environments=list(found.environments) if found.environments else None,
        undecryptable=None if shown.readable else True,
    )

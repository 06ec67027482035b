"""The shape of every request and answer about protected environments.

Rules are read by :mod:`~dagctl_provider.domain.rules`, which names what is wrong at any depth; here they are only drawn.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictStr, WithJsonSchema

from dagctl_provider.api.models import REFERENCE, Answer, Count, Request, Timestamp, storable
from dagctl_provider.domain import protections as domain
from dagctl_provider.domain.permissions import ROLES
from dagctl_provider.domain.protections import MOST_EXCEPTED
from dagctl_provider.domain.rules import MOST_APPROVALS, MOST_HOURS, read_rules
from dagctl_provider.domain.windows import MOST_MINUTES
from dagctl_provider.services.protections import ProtectionDetail

Approvals = Annotated[int, Field(ge=1, le=MOST_APPROVALS)]
More = Annotated[int, Field(ge=0, le=MOST_APPROVALS)]
RoleName = Literal[ROLES]  # type: ignore[valid-type]


class RuleGroup(Answer):
    """Somebody who has to agree when certain models change."""

    name: str
    quorum: Approvals | None = Field(None, description="How many of them; 1 when absent")
    user_ids: list[str] | None = None
    roles: list[RoleName] | None = None
    paths: list[str] | None = Field(None, description="Patterns of files, as in a CODEOWNERS file")
    tags: list[str] | None = Field(None, description="Tags of models")


class RuleWindow(Answer):
    """A time in which the environment may be changed, or may not."""

    kind: Literal["allow", "deny"]
    time_zone: str = Field(description="Of the IANA database", examples=["Europe/Berlin"])
    cron: str | None = Field(None, description="When it begins, with duration_minutes")
    duration_minutes: Annotated[int, Field(ge=1, le=MOST_MINUTES)] | None = None
    from_: str | None = Field(None, alias="from", serialization_alias="from", description="First day, or the moment it begins")
    until: str | None = Field(None, description="Last day, or the moment it ends")


class ProtectionRules(Answer):
    """What an approval needs in this environment; a rule that is absent asks for nothing."""

    quorum: Approvals | None = Field(None, description="How many approvals; 1 when absent")
    approver_roles: list[RoleName] | None = Field(None, description="Whose approvals count, together with approver_user_ids")
    approver_user_ids: list[str] | None = None
    groups: list[RuleGroup] | None = None
    codeowners: bool | None = Field(None, description="The owners of changed files have to agree")
    forbid_author: bool | None = Field(None, description="The author of the commit does not count")
    forbid_creator: bool | None = Field(None, description="Who asked for the plan does not count")
    extra_when_breaking: More | None = None
    extra_when_removed: More | None = None
    expires_after_hours: Annotated[int, Field(ge=1, le=MOST_HOURS)] | None = None
    windows: list[RuleWindow] | None = None
    override: bool | None = Field(None, description="An owner may do without the approvals too, with a reason")


_Text = Annotated[StrictStr, Field(max_length=100), AfterValidator(storable)]
_Ids = Annotated[list[Annotated[StrictStr, Field(max_length=64), AfterValidator(storable)]], Field(max_length=MOST_EXCEPTED)]
_Roles = Annotated[list[Literal[ROLES]], Field(max_length=len(ROLES))]  # type: ignore[valid-type]


def _readable(value: dict[str, object]) -> dict[str, object]:
    """Refuse rules that cannot be read, naming what is wrong at any depth, which pydantic's own words would not."""
    read_rules(value)
    return value


_Rules = Annotated[
    dict[str, Any], AfterValidator(_readable), WithJsonSchema({"allOf": [{"$ref": REFERENCE.format(model="ProtectionRules")}]})
]


class UpdateProtection(Request):
    """What changes; the rest stays."""

    environment_name: Annotated[_Text, Field(description="An environment that a project of the organization has")] = None  # type: ignore[assignment]
    enabled: StrictBool = True
    excepted_user_ids: Annotated[_Ids, Field(description="Members who may change it")] = []
    excepted_roles: Annotated[_Roles, Field(description="Roles that may change it")] = []
    excepted_token_ids: Annotated[_Ids, Field(description="API tokens that may change it")] = []
    rules: Annotated[_Rules, Field(description="What an approval needs")] = {}


class CreateProtection(UpdateProtection):
    """A new protection. Without an allowlist nobody may change the environment."""

    environment_name: Annotated[_Text, Field(description="An environment that a project of the organization has")]


class CheckParameters(Request):
    """Of what a command line wants to know."""

    project_id: Annotated[_Text, Field(description="Project ID")] = ""
    environment: Annotated[_Text | None, Field(description="The project's own when absent")] = None


class ExceptedUser(Answer):
    """A member on the allowlist."""

    user_id: str
    email: str | None = None


class ProtectionItem(Answer):
    """A protected environment as lists show it."""

    id: str
    organization_id: str
    environment_name: str
    enabled: bool
    created_by: str
    created_at: Timestamp
    updated_at: Timestamp


class Protection(ProtectionItem):
    """A protected environment."""

    excepted_users: list[ExceptedUser]
    excepted_roles: list[RoleName]
    excepted_token_ids: list[str]
    rules: ProtectionRules


class ProtectionList(Answer):
    """All protected environments."""

    protections: list[ProtectionItem]
    total: Count


class CheckAnswer(Answer):
    """The caller may change the environment."""

    allowed: Literal[True]
    environment: str


def _values(protection: domain.Protection) -> dict[str, Any]:
    return {name: getattr(protection, name) for name in ProtectionItem.model_fields}


def item(protection: domain.Protection) -> ProtectionItem:
    """A protection for lists."""
    return ProtectionItem(**_values(protection))


def detail(found: ProtectionDetail) -> Protection:
    """A protection in full."""
    protection = found.protection
    return Protection(
        **_values(protection),
        excepted_users=[ExceptedUser(user_id=one.user_id or "", email=one.email) for one in found.users],
        excepted_roles=list(protection.exceptions.roles),
        excepted_token_ids=list(protection.exceptions.token_ids),
        rules=ProtectionRules.model_validate(protection.rules.to_json()),
    )

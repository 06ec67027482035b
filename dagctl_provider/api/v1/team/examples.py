"""The examples of the Team document, for the OpenAPI document; where it prints nothing, the example is this product's own."""

from __future__ import annotations

MEMBER = {
    "id": "user_abc123",
    "organization_id": "org-xxxxxxxx",
    "email": "ada@example.com",
    "name": "Ada",
    "role": "developer",
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-02-20T14:30:00Z",
    "last_login_at": "2026-02-26T08:00:00Z",
}
MEMBERS = {"members": [MEMBER], "total": 1}
ROLE = {"role": "developer"}
ROLE_CHANGED = {"member": MEMBER, "message": "Member role updated successfully"}
REMOVED = {"message": "Member removed successfully"}
INVITATION = {
    "id": "inv_abc123",
    "organization_id": "org-xxxxxxxx",
    "email": "bob@example.com",
    "role": "reader",
    "expired": False,
    "created_by": "Ada",
    "created_at": "2026-02-26T08:00:00Z",
    "expires_at": "2026-03-05T08:00:00Z",
    "sent_at": "2026-02-26T08:00:01Z",
}
INVITATIONS = {"invitations": [INVITATION], "total": 1}
INVITE = {"email": "bob@example.com", "role": "reader"}
INVITED = {"invitation": INVITATION, "message": "Invitation sent successfully"}
WITHDRAWN = {"message": "Invitation withdrawn successfully"}
ACCEPT = {"token": "dinv_4Wc0cYc3lOZpE0p3ZtqK9s1n7uVwXyZaBcDeFgHiJkL"}
ACCEPTED = {
    "member": {**MEMBER, "id": "user_def456", "email": "bob@example.com", "name": "Bob", "role": "reader"},
    "organization_name": "default",
    "message": "Invitation accepted successfully",
}
ORGANIZATIONS = {
    "organizations": [{"id": "org-xxxxxxxx", "name": "default", "role": "developer", "created_at": "2026-01-15T10:00:00Z"}],
    "total": 1,
}

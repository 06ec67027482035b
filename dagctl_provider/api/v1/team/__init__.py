"""Members, invitations and organizations: the operations of the Team document, and those that invitations need."""

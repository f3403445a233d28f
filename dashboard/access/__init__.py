"""Access control: the access mode, identities, and roles (docs/adr/0010-access-control.md)."""

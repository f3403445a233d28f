"""Who gets in: how this installation is entered, who asks, and what they may do (docs/adr/0010-access-control.md)."""

"""Connectors perform the effects that were permitted, each of one kind, and judge nothing."""

"""Launchpad: which isolation tiers a host has, and what is asked of an engine to start an agent behind one."""

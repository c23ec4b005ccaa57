"""Agents in containers, behind an isolation tier."""

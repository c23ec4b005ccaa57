"""Agents that were written with somebody's framework: what puts HELM between them and their tools."""

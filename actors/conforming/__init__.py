"""Conformance runs: a server is set up, attacked over HTTP, and watched at its counterpart."""

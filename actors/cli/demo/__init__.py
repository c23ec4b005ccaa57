"""The demonstration: a real gateway, attacked over HTTP, with what it proves verified by a stranger."""

"""MCP without a wire: what a server lists, pinned and compared."""

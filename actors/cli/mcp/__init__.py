"""helm mcp: everything about agents and tools that speak the Model Context Protocol."""

"""MCP as a way in: agents list the tools of the policy and call them, on every transport judged like any other call."""

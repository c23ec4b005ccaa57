"""Programs of this machine as tools."""

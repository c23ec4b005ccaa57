"""The last lock between a decision and the world."""

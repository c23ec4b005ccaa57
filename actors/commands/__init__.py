"""Commands: every change of the guardian's memory that is not a call, a file for each matter."""

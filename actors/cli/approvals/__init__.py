"""helm approvals: what waits for humans, and what approvers say of it."""

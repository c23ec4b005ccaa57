"""The journal's port and the disks behind it."""

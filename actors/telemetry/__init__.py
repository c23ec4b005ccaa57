"""Telemetry leaves by threads of its own: whatever becomes of a collector or a disk, no call waits for it."""

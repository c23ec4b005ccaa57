"""HELM beside others: what telemetry is told, and how it is asked for. None of it is evidence."""

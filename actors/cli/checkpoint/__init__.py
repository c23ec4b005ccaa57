"""helm checkpoint: signed statements of all that the log holds."""

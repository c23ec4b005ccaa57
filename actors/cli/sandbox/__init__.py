"""helm sandbox: guests, their modules, and what they are granted."""

"""The mind of HELM: pure, synchronous, deterministic code that decides, seals and verifies."""

__version__ = "0.1.0"

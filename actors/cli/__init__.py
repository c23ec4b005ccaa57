"""The command line: one module per command group. Data goes to stdout, everything else to stderr."""

"""helm conform: what a boundary must answer, and whether a server does."""

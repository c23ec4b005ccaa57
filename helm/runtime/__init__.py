"""Where foreign code runs, if it runs at all."""

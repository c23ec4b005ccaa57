"""Keys as they lie: in files, in hardware tokens, and bearer keys of which only the hash is kept."""

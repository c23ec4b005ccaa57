"""Where software comes from: update metadata, transparency logs and build provenance, verified offline."""

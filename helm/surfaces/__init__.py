"""What can be asked of HELM over HTTP: one table, from which routes, documents and clients are made."""

"""Which keys count, for what and since when: signed events, and the registry that is their fold."""

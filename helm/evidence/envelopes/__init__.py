"""Evidence in the wrappings of others: signed for real, and never an authority beside the native hash."""

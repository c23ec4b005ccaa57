"""helm evidence envelope: evidence in the wrappings of others, made and read."""

"""The judge: one call and one frozen world in, one decision out."""

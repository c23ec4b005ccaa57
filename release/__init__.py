"""Makes a release out of a commit, and verifies one: outside the runtime, which knows nothing of how it was shipped."""

"""Identity in: whom a token or a certificate makes of its holder, by the keys that the policy pins."""

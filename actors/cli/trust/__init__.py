"""helm trust: which keys count, who said so, and how that is changed."""

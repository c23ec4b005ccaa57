"""The nouns every room of the house speaks: calls, decisions, records, receipts, and the words for no."""

"""Receipts: what each outcome owes, and how one links to the next."""

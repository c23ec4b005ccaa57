"""Conformance: what a boundary must answer to each attack, and whether one that was asked did."""

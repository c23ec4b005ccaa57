"""Doors parse, submit and render; they decide nothing."""

"""Backups: made of a running log, proved before anything of them is believed, restored in an empty place only."""

"""The commands of `helm supply`."""

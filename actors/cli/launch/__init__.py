"""The commands of `helm launch`."""

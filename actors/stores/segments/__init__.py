"""The journal in files of our own: batches of rows in whole blocks, written beside the page cache."""

"""What a hash or a signature is over: one form of bytes, under a line that says what they are."""

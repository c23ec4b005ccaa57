"""What a stranger needs: reading a log or a pack again, and believing nothing that does not follow."""

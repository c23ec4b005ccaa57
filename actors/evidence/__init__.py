"""What is done with evidence in files and in processes of its own: exported, verified, wrapped, copied."""

"""What others made: files read within a bound, repositories, provenance."""

"""What clicks on interleaved lists may count for: the numerics of credit."""

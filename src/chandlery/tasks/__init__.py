"""What a worker does with one task: it reads and writes the store itself, and hands back names and counts."""

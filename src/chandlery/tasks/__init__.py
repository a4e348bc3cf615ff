"""Tasks: what a worker process runs. A task reads and writes the store itself, and returns names and counts."""

"""Raw files as they come: whose they are, how they are laid out, and their rows."""

"""What all edges that answer requests share: identity, guards, problems, headers, limits."""

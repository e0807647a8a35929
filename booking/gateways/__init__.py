"""What speaks to the outer world: mail servers, files on disk."""

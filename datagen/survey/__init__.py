"""What a set of pictures is like, before anything is paid for: one pass over all of them, and one small table."""

"""Files: reading what may be damaged, writing what may not fit, and names without patterns."""

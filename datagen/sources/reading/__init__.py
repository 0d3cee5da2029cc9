"""What the sources share: cells, row groups, locations, downloads, and stored conversations."""

"""What the commands do: one file each, from paths and plain values to files and a few lines for the reader."""

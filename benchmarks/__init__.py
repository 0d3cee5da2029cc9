"""What prints the numbers that docs/ quotes."""

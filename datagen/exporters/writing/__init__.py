"""What exporters share: conversations as they go out, the store of pictures, and the forms that files have."""

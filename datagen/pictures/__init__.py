"""Pictures: checked, passed through or made over, with their colours and formats."""

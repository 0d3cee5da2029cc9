"""Looking at what a run made: its hit rates, single rows, samples for review, and what another policy would do."""

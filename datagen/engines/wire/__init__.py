"""What is said to servers over HTTP: requests, answers, and whether an endpoint serves at all."""

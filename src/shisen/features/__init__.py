"""What is inside a network: what its channels answer, and what pictures they would like."""

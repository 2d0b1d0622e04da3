"""What is inside a network: what its channels answer, and what images they would like."""

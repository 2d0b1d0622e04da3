"""What is inside a network: feature maps, attention maps, and images that maximally activate its channels."""

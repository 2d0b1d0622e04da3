"""Which network, and what it expects: recipes, weights, pictures, preprocessing and labels."""

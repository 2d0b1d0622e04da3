"""Fine-tune a backbone on labeled images: look at the data first, train, keep a folder that can be loaded."""

"""Fine-tune a backbone on labelled pictures: look at the data first, train, keep a folder that can be loaded."""

"""A whole folder: predict and attribute every picture, propose shortcuts, prove them by intervention, report."""

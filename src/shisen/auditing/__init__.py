"""A whole folder: predict and attribute every image, propose shortcuts, test them by intervention, report."""

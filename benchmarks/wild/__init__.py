"""What people bring: situations in which a network, a file or an image is not of the kind that examples show."""

"""Chores that every package needs: files, statistics, image operations, progress, messages."""

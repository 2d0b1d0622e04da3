"""From a proven shortcut to a repaired model, and the proof that the shortcut is gone."""

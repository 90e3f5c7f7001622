"""What one forecast's agents could see, re-checked from stored bytes, and the leak probes of a study."""

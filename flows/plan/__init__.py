"""What a second study would see and cost."""

"""What things cost: programs that measure, none of which is a test."""

"""What leaves otklik."""

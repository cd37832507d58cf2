"""Text in, Assessment out."""

"""The Regulation: alerts, deadlines, presentation."""

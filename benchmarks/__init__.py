"""Figures behind the project's claims, each side by side with what it is compared against."""

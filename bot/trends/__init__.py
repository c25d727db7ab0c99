"""Trends that can never point at a person: counted at write time, released once a period with noise, and then destroyed."""

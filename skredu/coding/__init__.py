"""How many bits: log-volumes, scatters and the extra bits of a row."""

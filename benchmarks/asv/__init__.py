"""Suite for airspeed velocity, which tracks speed, memory and accuracy over commits."""

"""Suite of airspeed velocity: follows speed, memory and quality over the commits."""

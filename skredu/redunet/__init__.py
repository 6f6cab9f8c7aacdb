"""Deep networks built forward by maximising the rate reduction."""

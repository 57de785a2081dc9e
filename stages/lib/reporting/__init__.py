"""Charts, pictures and the page of the report, from numbers that others wrote."""

"""What each fault costs: the sound recipe (`recipe`), and one module a fault that patches one of its steps."""

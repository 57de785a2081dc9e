"""The page that needs no server: a folder for any static host."""

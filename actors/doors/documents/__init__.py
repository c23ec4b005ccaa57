"""The documents as a browser has them, and the routes that give them out."""

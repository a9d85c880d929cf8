"""Messages as text for people: pure functions from a message to what rich prints. No terminal, clock or socket here."""

"""What people ask and we have no answer for: as few words of it as an editor needs, of nobody, and only where eleven people ask alike."""

AT_LEAST = 11  # people

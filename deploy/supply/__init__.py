"""What Octo is made of: licences, bills of materials, known weaknesses."""

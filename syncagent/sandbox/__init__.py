"""Local servers that answer as the real vendors do; they know nothing of the rest of syncagent."""

"""Speed as ratios, memory and accuracy of skredu; see README.md in this folder."""

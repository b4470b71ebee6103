"""What a bitcoin costs in dollars: samples of several sources, and the decision on them."""

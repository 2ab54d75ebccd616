"""The paper's figures and those of its claims, drawn from what `experiments.reproduction` computes."""

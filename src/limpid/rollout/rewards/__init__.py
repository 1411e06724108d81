"""Rewards: what an answer is worth, by functions of limpid's, of the user's, or by a reward model."""

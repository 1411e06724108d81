"""Models in Hugging Face's form, in both directions; their spellings of names and settings stand here alone."""

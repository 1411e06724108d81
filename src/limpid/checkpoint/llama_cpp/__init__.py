"""Models as llama.cpp reads them: one GGUF file, written and read back with the package gguf (an optional extra)."""

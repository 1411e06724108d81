"""The forward pass of decoders on CPUs in one C file, compiled where it runs in two seconds; torch is its twin."""

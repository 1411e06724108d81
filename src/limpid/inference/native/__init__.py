"""The forward pass of decoders on CPUs in one C file, compiled on the user's machine in two seconds; torch is its twin."""

"""The documentation site: pages out of docs/ and out of the code, put in order, built by zensical, and examined."""

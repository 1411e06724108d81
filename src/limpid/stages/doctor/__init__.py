"""What this machine can do with limpid, and what is wrong with the installation."""

from limpid.stages.doctor.examination import CHECKS, Finding, examine

__all__ = ["CHECKS", "Finding", "examine"]

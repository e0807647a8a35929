"""The exact solver, OR-Tools CP-SAT: imported by those who call it, never when the package is imported."""

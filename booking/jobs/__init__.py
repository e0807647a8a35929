"""The jobs: a process of its own that keeps a timetable."""

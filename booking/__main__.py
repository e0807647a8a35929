"""The console command, for `python -m booking`."""

from booking.cli import main

if __name__ == "__main__":
    main()

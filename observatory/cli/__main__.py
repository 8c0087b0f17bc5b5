"""`python -m observatory.cli`: the console script without its installation."""

from observatory.cli.main import main

if __name__ == "__main__":
    main()

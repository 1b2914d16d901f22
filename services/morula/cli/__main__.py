"""`python -m morula.cli` is the `morula` command."""

from morula.cli.main import main

if __name__ == "__main__":
    main()

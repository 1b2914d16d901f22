"""`python -m morula.onebox` is the `morula` command."""

from morula.onebox.cli import main

if __name__ == "__main__":
    main()

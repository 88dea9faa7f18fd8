"""`lacal`, and `python -m lacal`."""

import signal


def main() -> None:
    """Run the command line and exit; Ctrl-C before it is loaded ends the process without a trace."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lacal.cli.main import main as run_and_exit

    run_and_exit()


if __name__ == "__main__":  # pragma: no branch - main() exits
    main()

"""The command line, called as a user does."""

from psgd_ref.cli import main


def run(capsys, *arguments):
    """Exit status, standard output and standard error of `psgd-ref ARGUMENTS`."""
    try:
        status = main([str(word) for word in arguments])
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return status, captured.out, captured.err

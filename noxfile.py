#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""All checks by name: ``nox -s lint types tests oldest``."""

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"

OLDEST = ("numpy==2.0.*", "scipy==1.13.*", "scikit-learn==1.6.*")


@nox.session
def lint(session):
    """Check style, format and spelling."""
    session.install("ruff~=0.17.6", "codespell")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")


@nox.session
def types(session):
    """Check the type hints."""
    session.install(".[test]")
    session.run("mypy", "skredu")


@nox.session
def tests(session):
    """Run the tests and doctests against the latest versions."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11", default=False)
def oldest(session):
    """Run the tests and doctests against the oldest supported versions."""
    session.install(".[test]", *OLDEST)
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def coverage(session):
    """Measure coverage of lines and branches, which has to be complete."""
    session.install(".[test]")
    session.run("pytest", "--cov", "--cov-report=term-missing", *session.posargs)


@nox.session(default=False)
def mutation(session):
    """Change the mathematics in small ways and see whether a test notices."""
    session.install(".[test]", "mutmut")
    session.run("mutmut", "run", *session.posargs)


@nox.session(default=False)
def docs(session):
    """Build the documentation site, run its examples, and check its links."""
    session.install(".[doc]")
    site = "doc/_build/html"
    session.run("sphinx-build", "-W", "--keep-going", "-n", "doc", site)
    session.run("python", "doc/check_links.py", site)


@nox.session(default=False)
def build(session):
    """Build the source distribution and the wheel."""
    session.install("build")
    session.run("python", "-m", "build")


if __name__ == "__main__":
    nox.main()

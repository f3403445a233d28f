"""The parts of the package that pyproject.toml cannot express: pinned dependencies, and Streamlit's configuration."""

from pathlib import Path
from shutil import copyfile

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def dependencies() -> list[str]:
    """Return the lines of requirements.txt without comments and without pip's own options (`-c constraints.txt`)."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


class BuildWithConfiguration(build_py):
    """Put .streamlit/config.toml beside dashboard/app.py, where an installed Streamlit looks for it.

    In the repository dashboard/.streamlit is a symbolic link, which a checkout on Windows does not have.
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib, "dashboard", ".streamlit")
            folder.mkdir(exist_ok=True)
            copyfile(ROOT / ".streamlit" / "config.toml", folder / "config.toml")


setup(install_requires=dependencies(), cmdclass={"build_py": BuildWithConfiguration})

"""What runs the model in a browser: onnxruntime-web, of the version and hash that package-lock.json has."""

import gzip
import shutil
import subprocess
from pathlib import Path

from stages.lib.core.errors import UserError

HERE = Path(__file__).parent
DIST = Path("node_modules/onnxruntime-web/dist")
# with WebAssembly alone: what has WebGPU, too, is twice as large
SCRIPT, PROGRAM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


def check_npm() -> None:
    """Raise `UserError` where there is no Node with npm."""
    if shutil.which("npm") is None:
        raise UserError("npm is not here, which comes with Node: `apt-get install nodejs npm`, or https://nodejs.org.")


def install(folder: Path) -> None:
    """Install into ``folder`` what package-lock.json names, by `npm ci`; no script of a package is run.

    Raises `UserError` where npm fails.
    """
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, folder / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if ended.returncode != 0:
        told = " ".join(ended.stderr.split())
        raise UserError(f"`npm ci` could not get onnxruntime-web, which it needs the npm registry for: {told[-400:]}")


def add_runtime(installed: Path, folder: Path) -> None:
    """Put onnxruntime-web into ``folder``: its script, and its program compressed.

    Not every host compresses WebAssembly, of which a quarter is left. Its name does not end in .gz, or some hosts would
    tell browsers to unpack what the page unpacks.
    """
    # .js, as some hosts do not know .mjs for a script; its last line names a map that is not there
    script = (installed / DIST / SCRIPT).read_text(encoding="utf-8").partition("\n//# sourceMappingURL=")[0]
    (folder / "onnxruntime.js").write_text(script + "\n", encoding="utf-8")
    program = gzip.compress((installed / DIST / PROGRAM).read_bytes(), mtime=0)
    (folder / "onnxruntime.bin").write_bytes(program)

"""Where the workers look for modules: where the driver does, in the same order.

Ray puts the driver's working directory, and the folder of its script, in front of everything on the workers'
`sys.path`. A `datasets.py` or `prompts/` where a run is started would then be imported in place of the library or of
datagen.
"""

import sys
from pathlib import Path

from ray.job_config import JobConfig


class DriversPath(JobConfig):
    """The settings of a Ray job whose workers get the driver's `sys.path`, and nothing in front of it.

    Folders that another machine does not have are passed over there, and what is installed on it is found behind them.
    """

    def __init__(self) -> None:
        # Ray inserts one folder after the other at the front.
        super().__init__(_py_driver_sys_path=[str(Path(folder).absolute()) for folder in reversed(sys.path)])

    def _runtime_env_has_working_dir(self) -> bool:
        """Say that the working directory is taken care of; Ray then adds neither it nor the script's folder."""
        return True

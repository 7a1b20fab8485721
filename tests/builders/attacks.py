"""Objects that do harm when they are unpickled."""

import os


class Attack:
    """Makes a folder, which shows that a file was executed."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)

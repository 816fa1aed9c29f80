"""The wheel holds a library of one platform, which no version of Python is bound to."""

import sysconfig

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformHook(BuildHookInterface):
    """Names the platform in the wheel's tag."""

    def initialize(self, version, build_data):
        """Called before the wheel is written."""
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"

"""Files for build systems: a CMake package and a pkg-config file."""

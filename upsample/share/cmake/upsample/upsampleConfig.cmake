# find_package(upsample CONFIG) defines the target upsample::upsample: the include folder of upsample.h and
# nothing to link with.  The header needs Python.h: link with Python::Module (extension modules) or
# Python::Python (embedding) as well.  Everything is found from this file's own place.
get_filename_component(upsample_INCLUDE_DIR "${CMAKE_CURRENT_LIST_DIR}/../../../include" ABSOLUTE)
if(NOT EXISTS "${upsample_INCLUDE_DIR}/upsample.h")
  set(upsample_FOUND FALSE)
  set(upsample_NOT_FOUND_MESSAGE "there is no upsample.h in ${upsample_INCLUDE_DIR}")
  return()
endif()
if(NOT TARGET upsample::upsample)
  add_library(upsample::upsample INTERFACE IMPORTED)
  set_target_properties(upsample::upsample PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${upsample_INCLUDE_DIR}")
endif()
# the version of the C interface, as UPSAMPLE_API_MAJOR.UPSAMPLE_API_MINOR of the header: "1.0"
file(STRINGS "${upsample_INCLUDE_DIR}/upsample.h" _upsample_lines REGEX "^#define UPSAMPLE_API_(MAJOR|MINOR) ")
string(REGEX REPLACE ".*API_MAJOR ([0-9]+).*API_MINOR ([0-9]+).*" "\\1.\\2" upsample_API_VERSION "${_upsample_lines}")
unset(_upsample_lines)

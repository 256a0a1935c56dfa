# find_package(kivi): the target kivi::kivi, and kivi_add_backend for plugins.
include(${CMAKE_CURRENT_LIST_DIR}/kiviTargets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/KiviBackend.cmake)

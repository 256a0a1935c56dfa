# Reads the version from the public header, its one home: KIVI_VERSION.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/../libkivi/include/kivi/base.h lines
     REGEX "^#define KIVI_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
list(TRANSFORM lines REPLACE "^.* " "")
list(JOIN lines "." KIVI_VERSION)
if(NOT KIVI_VERSION MATCHES "^[0-9]+\\.[0-9]+\\.[0-9]+$")
    message(FATAL_ERROR "no version in libkivi/include/kivi/base.h")
endif()

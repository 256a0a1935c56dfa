# Makes the build tree usable as if installed: build/env.sh, pkg-config and CMake package files.
set(build_package ${CMAKE_BINARY_DIR}/lib/cmake/kivi)
export(EXPORT kivi NAMESPACE kivi:: FILE ${build_package}/kiviTargets.cmake)
file(COPY ${CMAKE_BINARY_DIR}/cmake/kiviConfigVersion.cmake DESTINATION ${build_package})
foreach(file kiviConfig.cmake KiviBackend.cmake plugin.map)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/cmake/${file} ${build_package}/${file} SYMBOLIC)
endforeach()
configure_file(cmake/kivi-build.pc.in ${CMAKE_BINARY_DIR}/lib/pkgconfig/kivi.pc @ONLY)

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/man/man1)
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/libkivi/cli/kivi.1 ${CMAKE_BINARY_DIR}/share/man/man1/kivi.1
     SYMBOLIC)
configure_file(cmake/env.sh.in ${CMAKE_BINARY_DIR}/env.sh @ONLY)

# What is installed, and a record of it for tools/uninstall.
include(CMakePackageConfigHelpers)
set(kivi_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kivi)
set(kivi_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(kivi_bash_dir ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
set(kivi_zsh_dir ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)

# The first install rule of all: notes the directories that are about to be made.
set(KIVI_INSTALL_DIRS ${CMAKE_INSTALL_BINDIR} ${CMAKE_INSTALL_LIBDIR}/kivi ${kivi_package_dir}
    ${kivi_pc_dir} ${CMAKE_INSTALL_INCLUDEDIR}/kivi/backend ${CMAKE_INSTALL_MANDIR}/man1
    ${kivi_bash_dir} ${kivi_zsh_dir})
configure_file(${CMAKE_CURRENT_LIST_DIR}/note-directories.cmake.in
               ${CMAKE_BINARY_DIR}/cmake/note-directories.cmake @ONLY)
install(SCRIPT ${CMAKE_BINARY_DIR}/cmake/note-directories.cmake)

# kivi.pc is relocatable: it finds the prefix from where it lies itself.
file(RELATIVE_PATH KIVI_PC_UP /prefix/${kivi_pc_dir} /prefix)

# What backends of this tree share, for those that live elsewhere: kivi::resolve, kivi::net, kivi::endpoint,
# kivi::pipeline, kivi::members and kivi::sql after find_package(kivi). Left out where OpenSSL is not there to build them.
function(kivi_install_common)
    find_library(KIVI_LIBRARY_ssl ssl)
    if(NOT KIVI_LIBRARY_ssl OR KIVI_SANITIZE OR KIVI_FUZZ)
        message(STATUS "what networked backends share is not installed")
        return()
    endif()
    set(common ${PROJECT_SOURCE_DIR}/libkivi/backends/common)
    set(parts kivi_resolve kivi_net kivi_endpoint kivi_pipeline kivi_members kivi_sql kivi_embedded)
    set_target_properties(${parts} PROPERTIES EXCLUDE_FROM_ALL OFF)
    install(TARGETS ${parts} EXPORT kivi ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/kivi)
    install(FILES ${common}/resolve/resolve.h ${common}/net/net.h ${common}/net/net_set.h
                  ${common}/endpoint/endpoint.h ${common}/pipeline/pipeline.h
                  ${common}/members/members.h ${common}/sql/sql.h ${common}/embedded/embedded.h
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kivi/backend)
endfunction()

function(kivi_install_library)
    kivi_install_common()
    install(TARGETS kivi kivi_headers EXPORT kivi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/libkivi/include/kivi/*.h)
    install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kivi)

    set(cmake_dir ${PROJECT_SOURCE_DIR}/cmake)
    set(made ${CMAKE_BINARY_DIR}/cmake)
    configure_file(${cmake_dir}/kivi.pc.in ${made}/kivi.pc @ONLY)
    install(FILES ${made}/kivi.pc DESTINATION ${kivi_pc_dir})
    write_basic_package_version_file(${made}/kiviConfigVersion.cmake
        VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
    install(EXPORT kivi NAMESPACE kivi:: FILE kiviTargets.cmake DESTINATION ${kivi_package_dir})
    install(FILES ${made}/kiviConfigVersion.cmake ${cmake_dir}/kiviConfig.cmake
                  ${cmake_dir}/KiviBackend.cmake ${cmake_dir}/plugin.map
            DESTINATION ${kivi_package_dir})
endfunction()

# Pages and completions that are there; the command finds its library wherever the prefix is moved. It is linked as
# it is installed: a path that CMake changes at install time has an empty element until then, which means the current
# folder. So the build tree has the library where the installed command looks for it.
function(kivi_install_command)
    file(RELATIVE_PATH up /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
    set(here "$ORIGIN")
    if(APPLE)
        set(here "@loader_path")
    endif()
    set_target_properties(kivi_cli PROPERTIES
        INSTALL_RPATH "${here}/${up}" BUILD_WITH_INSTALL_RPATH ON)
    cmake_path(SET folder NORMALIZE ${CMAKE_BINARY_DIR}/${CMAKE_INSTALL_LIBDIR})
    if(NOT folder STREQUAL "${CMAKE_BINARY_DIR}/lib")
        cmake_path(GET folder PARENT_PATH parent)
        file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/lib ${parent})
        file(CREATE_LINK ${CMAKE_BINARY_DIR}/lib ${folder} SYMBOLIC)
    endif()
    install(TARGETS kivi_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    kivi_install_page(kivi.1 ${CMAKE_INSTALL_MANDIR}/man1 kivi.1)
    kivi_install_page(completion/kivi.bash ${kivi_bash_dir} kivi)
    kivi_install_page(completion/kivi.zsh ${kivi_zsh_dir} _kivi)
endfunction()

function(kivi_install_page file folder name)
    install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/${file} DESTINATION ${folder} RENAME ${name})
endfunction()

# kivi_add_backend: builds one backend as a plugin, or into the library. Installed as well, so that
# find_package(kivi) gives it to backends that live elsewhere.
#
#   kivi_add_backend(NAME lmdb SCHEMES lmdb SUMMARY "LMDB, the embedded default"
#                    PACKAGE "liblmdb0 (Debian), lmdb-libs (Fedora) or lmdb (Alpine)"
#                    SOURCES lmdb.c map.c LIBRARIES lmdb)
#
# SCHEMES    the URL schemes it serves (a list)
# SUMMARY    one line for `kivi stores`
# PACKAGE    what a user installs when the client library is missing, on each system; may be absent
# SOURCES    its C files
# LIBRARIES  what it links; may be absent
set(KIVI_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

function(kivi_add_backend)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;SUMMARY;PACKAGE" "SCHEMES;SOURCES;LIBRARIES")
    foreach(needed NAME SCHEMES SUMMARY SOURCES)
        if(NOT arg_${needed})
            message(FATAL_ERROR "kivi_add_backend: ${needed} is missing")
        endif()
    endforeach()
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "kivi_add_backend: unknown: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(arg_NAME IN_LIST KIVI_WITHOUT)
        message(STATUS "backend ${arg_NAME}: left out (KIVI_WITHOUT)")
        return()
    endif()
    foreach(library IN LISTS arg_LIBRARIES)
        kivi_require_library("backend ${arg_NAME}" ${library} "leave the backend out with -DKIVI_WITHOUT=${arg_NAME}")
    endforeach()
    if(arg_NAME IN_LIST KIVI_STATIC_BACKENDS)
        kivi_add_static_backend()
    else()
        kivi_add_plugin()
        if(TARGET kivi_static AND KIVI_TESTS)
            kivi_add_archive()
        endif()
    endif()
endfunction()

# What libraries are compiled with: a header, and the packages of Debian, Fedora and Alpine that have it.
set(KIVI_DEVEL_lmdb lmdb.h liblmdb-dev lmdb-devel lmdb-dev)
set(KIVI_DEVEL_rocksdb rocksdb/c.h librocksdb-dev rocksdb-devel rocksdb-dev)
set(KIVI_DEVEL_ssl openssl/ssl.h libssl-dev openssl-devel openssl-dev)
set(KIVI_DEVEL_crypto openssl/err.h libssl-dev openssl-devel openssl-dev)
set(KIVI_DEVEL_pq libpq-fe.h libpq-dev libpq-devel libpq-dev)
set(KIVI_DEVEL_mariadb mysql.h libmariadb-dev mariadb-connector-c-devel mariadb-connector-c-dev)
set(KIVI_DEVEL_memcached libmemcached/memcached.h libmemcached-dev libmemcached-awesome-devel libmemcached-dev)
set(KIVI_DEVEL_hiredis hiredis/hiredis.h libhiredis-dev hiredis-devel hiredis-dev)
set(KIVI_DEVEL_msgpackc msgpack.h libmsgpack-dev msgpack-devel msgpack-c-dev)
set(KIVI_DEVEL_criterion criterion/criterion.h libcriterion-dev criterion-devel criterion-dev)

# The three as part of a sentence.
function(kivi_name_packages out debian fedora alpine)
    set(${out} "${debian} (Debian), ${fedora} (Fedora) or ${alpine} (Alpine)" PARENT_SCOPE)
endfunction()

# Before anything is compiled: what is missing, with the names of packages. All that is missing is named, and then the
# configuration fails. ADVICE: what may be done instead of installing.
function(kivi_require_library who library advice)
    if(TARGET ${library} OR library MATCHES "^-|/|::")
        return()
    endif()
    set(missing)
    set(packages it)
    find_library(KIVI_LIBRARY_${library} ${library})
    if(NOT KIVI_LIBRARY_${library})
        set(missing "library ${library}")
    endif()
    if(KIVI_DEVEL_${library})
        list(GET KIVI_DEVEL_${library} 0 header)
        list(SUBLIST KIVI_DEVEL_${library} 1 3 packages)
        kivi_name_packages(packages ${packages})
        find_path(KIVI_HEADER_${library} ${header} PATH_SUFFIXES postgresql mariadb)
        if(NOT KIVI_HEADER_${library})
            set(missing "header ${header}")
        endif()
    endif()
    if(missing)
        message(SEND_ERROR "${who}: there is no ${missing} here. Install ${packages}, or ${advice}")
    endif()
endfunction()

# Reads the arg_ variables of kivi_add_backend.
function(kivi_add_static_backend)
    set(target kivi_backend_${arg_NAME})
    add_library(${target} OBJECT ${arg_SOURCES})
    target_compile_definitions(${target} PRIVATE
        KIVI_BUILDING KIVI_PLUGIN kivi_plugin=kvi_plugin_${arg_NAME})
    target_link_libraries(${target} PRIVATE kivi_flags kivi_headers ${arg_LIBRARIES})
    foreach(library kivi kivi_static)
        target_sources(${library} PRIVATE $<TARGET_OBJECTS:${target}>)
        target_link_libraries(${library} PRIVATE ${arg_LIBRARIES})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY KIVI_BUILTIN ${arg_NAME})
endfunction()

# Reads the arg_ variables of kivi_add_backend.
function(kivi_add_plugin)
    set(target kivi-${arg_NAME})
    add_library(${target} MODULE ${arg_SOURCES})
    target_compile_definitions(${target} PRIVATE KIVI_PLUGIN)
    if(TARGET kivi_flags)
        target_link_libraries(${target} PRIVATE kivi_flags kivi_headers)
    else()
        target_link_libraries(${target} PRIVATE kivi::headers)
    endif()
    target_link_libraries(${target} PRIVATE ${arg_LIBRARIES})
    if(NOT APPLE)
        target_link_options(${target} PRIVATE
            -Wl,--version-script,${KIVI_PLUGIN_MAP} -Wl,--exclude-libs,ALL)
    endif()
    if(NOT KIVI_FUZZ AND NOT APPLE)
        target_link_options(${target} PRIVATE -Wl,-z,defs)
    endif()
    set(folder ${CMAKE_BINARY_DIR}/lib/kivi)
    set_target_properties(${target} PROPERTIES
        POSITION_INDEPENDENT_CODE ON
        C_VISIBILITY_PRESET hidden
        LINK_DEPENDS ${KIVI_PLUGIN_MAP}
        LIBRARY_OUTPUT_DIRECTORY ${folder})

    list(JOIN arg_SCHEMES " " schemes)
    set(manifest "name: ${arg_NAME}\nschemes: ${schemes}\nfile: libkivi-${arg_NAME}.so\n")
    if(arg_PACKAGE)
        string(APPEND manifest "package: ${arg_PACKAGE}\n")
    endif()
    string(APPEND manifest "summary: ${arg_SUMMARY}\n")
    file(CONFIGURE OUTPUT ${folder}/${arg_NAME}.plugin CONTENT "${manifest}" @ONLY)

    include(GNUInstallDirs)
    install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/kivi)
    install(FILES ${folder}/${arg_NAME}.plugin DESTINATION ${CMAKE_INSTALL_LIBDIR}/kivi)
    set_property(GLOBAL APPEND PROPERTY KIVI_PLUGINS ${target})
    if(NOT TARGET plugins)
        add_custom_target(plugins) # all of them
    endif()
    add_dependencies(plugins ${target})
endfunction()

# A plugin's code once more, for unit tests that reach into it: kvi_plugin_<name> instead of kivi_plugin.
# Reads the arg_ variables of kivi_add_backend.
function(kivi_add_archive)
    set(target kivi_backend_${arg_NAME})
    add_library(${target} STATIC EXCLUDE_FROM_ALL ${arg_SOURCES})
    target_compile_definitions(${target} PRIVATE KIVI_PLUGIN kivi_plugin=kvi_plugin_${arg_NAME})
    target_link_libraries(${target} PUBLIC kivi_flags kivi_headers ${arg_LIBRARIES})
    set_property(GLOBAL APPEND PROPERTY KIVI_ARCHIVES ${target})
endfunction()

# Writes the table of the backends that are compiled in, and adds it to the library.
function(kivi_write_builtin target)
    get_property(names GLOBAL PROPERTY KIVI_BUILTIN)
    set(KIVI_BUILTIN_DECLARATIONS "")
    set(KIVI_BUILTIN_ENTRIES "")
    foreach(name IN LISTS names)
        string(APPEND KIVI_BUILTIN_DECLARATIONS
               "const kivi_backend *kvi_plugin_${name}(uint32_t host_abi, const kivi_host *host);\n")
        string(APPEND KIVI_BUILTIN_ENTRIES "    kvi_plugin_${name},\n")
    endforeach()
    configure_file(${PROJECT_SOURCE_DIR}/cmake/builtin.c.in ${CMAKE_CURRENT_BINARY_DIR}/builtin.c @ONLY)
    target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/builtin.c)
endfunction()

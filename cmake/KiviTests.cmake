# Tests: what they need, how one is built. kivi_require_for_tests(LIBRARY...) fails before anything is compiled.
function(kivi_require_for_tests)
    foreach(library IN LISTS ARGN)
        kivi_require_library(tests ${library} "leave the tests out with -DKIVI_TESTS=OFF")
    endforeach()
endfunction()

# kivi_add_criterion: one Criterion executable of a group (a folder of tests/), known to tools/test. The target tests-GROUP
# builds all of a group.
#
#   kivi_add_criterion(GROUP unit NAME url SOURCES url.c LIBRARIES kivi_static)
#
# Under sanitizers the same sources are compiled with tests/standin, which runs each test in a child of
# a process that has one thread: Criterion's shared arena lies where ThreadSanitizer forbids memory, and
# its runner forks while threads of its own allocate, after which AddressSanitizer's lock may stay taken. KIVI_STANDIN asks
# for it where there is no Criterion, or it does not run (under qemu).
option(KIVI_STANDIN "Run tests with tests/standin instead of Criterion" OFF)
if(KIVI_SANITIZE OR KIVI_STANDIN)
    add_library(kivi_criterion STATIC ${PROJECT_SOURCE_DIR}/tests/standin/runner.c
        ${PROJECT_SOURCE_DIR}/tests/standin/main.c)
    target_include_directories(kivi_criterion PUBLIC ${PROJECT_SOURCE_DIR}/tests/standin)
    target_link_libraries(kivi_criterion PUBLIC kivi_flags)
    if(KIVI_SANITIZE MATCHES "thread")
        # In the program itself, so that plugins use it as well; not in what programs share.
        target_sources(kivi_criterion INTERFACE
            $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${PROJECT_SOURCE_DIR}/tests/standin/clocklock.c>)
        target_link_options(kivi_criterion INTERFACE
            -Wl,--export-dynamic-symbol=pthread_mutex_clocklock)
    endif()
elseif(NOT KIVI_FUZZ)
    kivi_require_for_tests(criterion)
    add_library(kivi_criterion INTERFACE)
    target_include_directories(kivi_criterion SYSTEM INTERFACE ${KIVI_HEADER_criterion})
    target_link_libraries(kivi_criterion INTERFACE ${KIVI_LIBRARY_criterion})
endif()
# What the macros of Criterion and the entry of libFuzzer do is not held to our warnings. Linked last.
add_library(kivi_test_flags INTERFACE)
target_compile_options(kivi_test_flags INTERFACE
    -Wno-missing-prototypes -Wno-missing-field-initializers)

set(kivi_test_dir ${CMAKE_BINARY_DIR}/tests)
# Executables linked with kivi_static look for plugins beside themselves.
file(MAKE_DIRECTORY ${kivi_test_dir} ${CMAKE_BINARY_DIR}/lib/kivi)
file(CREATE_LINK ../lib/kivi ${kivi_test_dir}/kivi SYMBOLIC)

function(kivi_add_test_program name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE kivi_flags ${arg_LIBRARIES} kivi_test_flags)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${kivi_test_dir})
endfunction()

function(kivi_add_criterion)
    cmake_parse_arguments(arg "" "GROUP;NAME" "SOURCES;LIBRARIES" ${ARGN})
    set(target ${arg_GROUP}-${arg_NAME})
    if(arg_NAME STREQUAL "kivi-${arg_GROUP}")
        set(target ${arg_NAME})
    endif()
    kivi_add_test_program(${target} SOURCES ${arg_SOURCES}
        LIBRARIES ${arg_LIBRARIES} kivi_criterion)
    add_test(NAME ${target} COMMAND ${target})
    if(NOT TARGET tests-${arg_GROUP})
        add_custom_target(tests-${arg_GROUP})
    endif()
    add_dependencies(tests-${arg_GROUP} ${target})
    set_property(GLOBAL APPEND PROPERTY KIVI_CRITERION "${arg_GROUP} ${kivi_test_dir}/${target}")
endfunction()

# The list that tools/run-criterion works off: lines of group and executable.
function(kivi_write_test_list)
    get_property(lines GLOBAL PROPERTY KIVI_CRITERION)
    list(JOIN lines "\n" text)
    file(WRITE ${kivi_test_dir}/criterion.list "${text}\n")
endfunction()

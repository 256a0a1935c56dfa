# kivi_add_module(): the SWIG module of one language, over the C that all of them share.
include_guard(GLOBAL)

# kivi_add_module(TARGET LANGUAGE swig-name OUTPUT_NAME name DIRECTORY dir
#                 SOURCES c-files... INCLUDES dirs... LIBRARIES libs... FLAGS swig-flags... DEFINITIONS d...)
# Runs SWIG over swig/<language>.i into the build tree and builds dir/<name>.so from what it wrote, the sources given and
# bindings/*.c. The warnings of generated code are not ours.
function(kivi_add_module target)
    cmake_parse_arguments(module "" "LANGUAGE;OUTPUT_NAME;DIRECTORY;INTERFACE"
        "SOURCES;INCLUDES;LIBRARIES;FLAGS;DEFINITIONS" ${ARGN})
    set(interface ${PROJECT_SOURCE_DIR}/swig/${module_INTERFACE})
    set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/${target}_wrap.c)
    file(GLOB interfaces CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/swig/*.i)
    file(GLOB shared CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bindings/*.c)
    add_custom_command(OUTPUT ${wrapper}
        COMMAND ${KIVI_SWIG} -${module_LANGUAGE} ${module_FLAGS} -I${PROJECT_SOURCE_DIR}/swig
            -outdir ${CMAKE_CURRENT_BINARY_DIR} -o ${wrapper} ${interface}
        DEPENDS ${interfaces} VERBATIM)
    add_library(${target} MODULE ${wrapper} ${module_SOURCES} ${shared})
    set_source_files_properties(${wrapper} PROPERTIES COMPILE_OPTIONS "-w;-fno-strict-aliasing")
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/bindings ${PROJECT_SOURCE_DIR}/libkivi/core)
    target_include_directories(${target} SYSTEM PRIVATE ${module_INCLUDES})
    target_compile_definitions(${target} PRIVATE ${module_DEFINITIONS})
    target_link_libraries(${target} PRIVATE kivi kivi_flags kivi_platform ${module_LIBRARIES} m)
    set_target_properties(${target} PROPERTIES
        PREFIX "" OUTPUT_NAME ${module_OUTPUT_NAME} SUFFIX .so
        LIBRARY_OUTPUT_DIRECTORY ${module_DIRECTORY})
endfunction()

# What goes into a Python wheel: the module, libkivi and its plugins, and nothing else. The module finds libkivi beside
# itself, libkivi its plugins.
set(kivi_wheel_dir kivi/lib)
get_property(kivi_plugins GLOBAL PROPERTY KIVI_PLUGINS)
if(NOT TARGET kivi_python)
    message(FATAL_ERROR "the Python module cannot be built here: see above for what is missing")
endif()

# A wheel holds no links: one file, named as the loader asks for it.
set_target_properties(kivi PROPERTIES VERSION ${PROJECT_VERSION_MAJOR})
set_target_properties(kivi_python PROPERTIES SUFFIX .${SKBUILD_SOABI}.so
    INSTALL_RPATH "$ORIGIN/lib" BUILD_WITH_INSTALL_RPATH ON)
add_custom_target(kivi_wheel DEPENDS kivi kivi_python ${kivi_plugins})

install(TARGETS kivi LIBRARY DESTINATION ${kivi_wheel_dir} NAMELINK_SKIP COMPONENT python)
install(TARGETS kivi_python LIBRARY DESTINATION kivi COMPONENT python)
install(TARGETS ${kivi_plugins} LIBRARY DESTINATION ${kivi_wheel_dir}/kivi COMPONENT python)
foreach(plugin IN LISTS kivi_plugins)
    get_target_property(folder ${plugin} LIBRARY_OUTPUT_DIRECTORY)
    string(REGEX REPLACE "^kivi-" "" name ${plugin})
    install(FILES ${folder}/${name}.plugin DESTINATION ${kivi_wheel_dir}/kivi COMPONENT python)
endforeach()

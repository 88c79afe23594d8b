# datamanager_layer(<name> [SOURCES <files>] [DEPS <layers>] [LIBS <public libraries>]
#                   [PRIVATE_LIBS <libraries>])
#
# Makes the internal library datamanager_<name> of src/<name>. A layer's headers are included as
# "<name>/<header>", and the only include directory that leads to them is handed on by linking the
# layer: what a layer does not name in DEPS it cannot include. Without SOURCES it is headers only.
function(datamanager_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS;PRIVATE_LIBS" ${ARGN})
  set(target datamanager_${name})
  set(root "${PROJECT_BINARY_DIR}/layers/${name}")
  file(MAKE_DIRECTORY "${root}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/src/${name}" "${root}/${name}" SYMBOLIC)

  list(TRANSFORM ARG_DEPS PREPEND "datamanager_")
  if(ARG_SOURCES)
    set(scope PUBLIC)
    list(TRANSFORM ARG_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/src/${name}/")
    add_library(${target} STATIC ${ARG_SOURCES})
    target_link_libraries(${target}
      PRIVATE ${ARG_PRIVATE_LIBS} $<BUILD_INTERFACE:datamanager_warnings>)
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  target_include_directories(${target} ${scope}
    "$<BUILD_INTERFACE:${root}>"
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(${target} ${scope} ${ARG_DEPS} ${ARG_LIBS})
  set_property(GLOBAL APPEND PROPERTY datamanager_layers ${target})
endfunction()

# Optimises a target for size in the builds that are optimised: for code that runs now and then, not
# for each record or file.
function(datamanager_small_code target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-Os>)
endfunction()

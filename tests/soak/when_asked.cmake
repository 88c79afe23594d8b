# Read by ctest in place of a list of tests. What takes minutes exists only for a ctest whose command
# line speaks of it, as with `-L soak`, `--preset soak`, `-R kill_soak` or `-L curves`: to leave a
# label out by default is nothing that ctest can be told otherwise.
file(STRINGS /proc/self/cmdline asked REGEX "^[^/]*(soak|curves)")
if(asked)
  include("${CMAKE_CURRENT_LIST_DIR}/soaks.cmake")
endif()

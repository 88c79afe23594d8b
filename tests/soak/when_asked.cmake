# Read by ctest in place of a list of tests. A soak exists only for a ctest whose command line speaks
# of soaks, as with `-L soak`, `--preset soak` or `-R kill_soak`: to leave a label out by default is
# nothing that ctest can be told otherwise.
file(STRINGS /proc/self/cmdline asked REGEX "^[^/]*soak")
if(asked)
  include("${CMAKE_CURRENT_LIST_DIR}/soaks.cmake")
endif()

# Writes to WRITE one test for ctest per suite of the GoogleTest program PROGRAM, without those that match
# the filter EXCEPT. Runs as a script after the program is built; see datamanager_test.
execute_process(COMMAND "${PROGRAM}" --gtest_list_tests "--gtest_filter=-${EXCEPT}"
  OUTPUT_VARIABLE list COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n[A-Za-z0-9_/]+\\.[ \n]" suites "\n${list}")
set(tests "")
foreach(suite IN LISTS suites)
  string(REGEX REPLACE "[\n. ]" "" suite "${suite}")
  string(APPEND tests "add_test(${suite} \"${PROGRAM}\" \"--gtest_filter=${suite}.*\")
set_tests_properties(${suite} PROPERTIES TIMEOUT 120)\n")
endforeach()
file(WRITE "${WRITE}" "${tests}")

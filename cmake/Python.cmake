# multigres_python_test(<name> <script> LABEL <label> [SERIAL] [TIMEOUT <s>] [ARGS ...])
# A ctest test in Python, run by the distribution's interpreter, which has the distribution's grpc and psycopg. (Another
# one that comes first in PATH has not.)

function(multigres_python_test name script)
  cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT" "ARGS" ${ARGN})
  find_program(SYSTEM_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${SYSTEM_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARG_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "MULTIGRES_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};MULTIGRES_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

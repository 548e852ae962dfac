# multigres_python_test(<name> <script> LABEL <label> [SERIAL] [TIMEOUT <s>])
# A ctest test in Python, run by an environment in the build folder that holds test/requirements.txt.

set(PYTHON_ENVIRONMENT ${CMAKE_BINARY_DIR}/python)

function(_multigres_python_environment)
  if(TARGET python_environment)
    return()
  endif()
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_custom_command(
    OUTPUT ${PYTHON_ENVIRONMENT}/ready
    COMMAND ${Python3_EXECUTABLE} -m venv ${PYTHON_ENVIRONMENT}
    COMMAND ${PYTHON_ENVIRONMENT}/bin/python -m pip install --quiet --disable-pip-version-check
            -r ${CMAKE_SOURCE_DIR}/test/requirements.txt
    COMMAND ${CMAKE_COMMAND} -E touch ${PYTHON_ENVIRONMENT}/ready
    DEPENDS ${CMAKE_SOURCE_DIR}/test/requirements.txt
    COMMENT "Preparing the Python environment of the tests"
    VERBATIM)
  add_custom_target(python_environment ALL DEPENDS ${PYTHON_ENVIRONMENT}/ready)
endfunction()

function(multigres_python_test name script)
  cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT" "" ${ARGN})
  _multigres_python_environment()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${PYTHON_ENVIRONMENT}/bin/python -B ${CMAKE_CURRENT_SOURCE_DIR}/${script})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "MULTIGRES_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};MULTIGRES_SOURCE_DIR=${CMAKE_SOURCE_DIR};MULTIGRES_PROTO_DIR=${CMAKE_BINARY_DIR}/proto")
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

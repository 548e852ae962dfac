# Flags of our own code: one interface target for every module, one precompiled header for all of them.

set(MULTIGRES_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")
option(MULTIGRES_FUZZ "Build the libFuzzer targets" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${CCACHE_PROGRAM})
endif()

set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -fno-omit-frame-pointer")

add_link_options(-fuse-ld=lld)
if(MULTIGRES_SANITIZE)
  add_compile_options(-fsanitize=${MULTIGRES_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MULTIGRES_SANITIZE})
endif()
if(MULTIGRES_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Asio is compiled once (BOOST_ASIO_SEPARATE_COMPILATION).
add_library(multigres_asio STATIC ${CMAKE_SOURCE_DIR}/cmake/asio_impl.cc)
target_link_libraries(multigres_asio PUBLIC dep_boost)

add_library(multigres_options INTERFACE)
target_include_directories(multigres_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(multigres_options INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers
                                                   -Wno-unused-parameter -Xclang -fno-pch-timestamp)
target_link_libraries(multigres_options INTERFACE multigres_asio dep_boost dep_fmt)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/pch.cc CONTENT "")
add_library(multigres_pch STATIC ${CMAKE_BINARY_DIR}/pch/pch.cc)
target_link_libraries(multigres_pch PUBLIC multigres_options)
target_precompile_headers(multigres_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

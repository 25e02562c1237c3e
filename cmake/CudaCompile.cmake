# SPDX-License-Identifier: Apache-2.0
#
# cmake -DLOG=FILE -P CudaCompile.cmake -- COMMAND ...
# Runs the compiler, and keeps in FILE what ptxas says about each kernel: CudaResources.cmake makes a
# table of it.

set(command "")
set(seen FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(seen)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(seen TRUE)
  endif()
endforeach()
execute_process(COMMAND ${command} RESULT_VARIABLE status ERROR_VARIABLE output)
file(WRITE ${LOG} "${output}")
string(REGEX REPLACE "ptxas info[^\n]*\n|    [0-9]+ bytes stack frame[^\n]*\n" "" rest "${output}")
if(rest)
  message("${rest}")
endif()
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the compiler failed: ${status}")
endif()

# SPDX-License-Identifier: Apache-2.0
#
# cmake -DMADE=FOLDER -DCOMMITTED=FOLDER -P CheckBinding.cmake
# The committed bindings must be what JavaCPP makes of the headers today.

foreach(binding TokamakNative CudaNative)
  execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${MADE}/${binding}.java
                          ${COMMITTED}/${binding}.java
                  RESULT_VARIABLE differs ERROR_QUIET)
  if(differs)
    message(FATAL_ERROR "${COMMITTED}/${binding}.java is not what JavaCPP makes of its header and "
                        "preset: make it with  mvn -Pbinding -pl java/backend -am compile")
  endif()
endforeach()

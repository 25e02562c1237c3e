# SPDX-License-Identifier: Apache-2.0
#
# cmake -DMADE=FILE -DCOMMITTED=FILE -P CheckBinding.cmake
# The committed binding must be what JavaCPP makes of tokamak.h today.

execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${MADE} ${COMMITTED}
                RESULT_VARIABLE differs ERROR_QUIET)
if(differs)
  message(FATAL_ERROR "${COMMITTED} is not what JavaCPP makes of tokamak.h and TokamakPreset: "
                      "make it with  mvn -Pbinding -pl java/backend -am compile")
endif()

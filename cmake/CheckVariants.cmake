# SPDX-License-Identifier: Apache-2.0
#
# cmake -DNM=nm -DOBJECTS=a.o|b.o -P CheckVariants.cmake
# No object of an instruction-set level may offer an inline function to others: the linker keeps one
# copy of each, and that of AVX-512 would end a program on an older processor.

string(REPLACE "|" ";" objects "${OBJECTS}")
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} -C --defined-only ${object} OUTPUT_VARIABLE symbols
                  COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]* W [^\n]*" shared "${symbols}")
  if(shared)
    message(FATAL_ERROR "${object} shares inline code: make it static, or keep it out of the "
                        "sources that are compiled per level: ${shared}")
  endif()
endforeach()

# SPDX-License-Identifier: Apache-2.0
#
# Instruction-set levels: name -> compiler flags. One source is compiled once per level, with
# TK_LEVEL_NAME set to the level's name; which one runs is decided at run time. Names and order are
# those of tk_level in tokamak.h.

set(TOKAMAK_FLAGS_baseline "")
set(TOKAMAK_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(TOKAMAK_FLAGS_avx512 ${TOKAMAK_FLAGS_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd)
set(TOKAMAK_FLAGS_avx512vnni ${TOKAMAK_FLAGS_avx512} -mavx512vnni -mavx512bf16)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(TOKAMAK_LEVELS baseline avx2 avx512 avx512vnni)
else()
  set(TOKAMAK_LEVELS baseline)
endif()

# Compiles the sources once per level into `library`, and adds a test that the levels share no code.
function(tokamak_cpu_variants library)
  set(objects "")
  foreach(level IN LISTS TOKAMAK_LEVELS)
    set(variant ${library}_${level})
    add_library(${variant} OBJECT ${ARGN})
    target_compile_definitions(${variant} PRIVATE TK_LEVEL_NAME=${level})
    target_compile_options(${variant} PRIVATE ${TOKAMAK_FLAGS_${level}})
    target_link_libraries(${variant} PRIVATE tokamak_options)
    target_sources(${library} PRIVATE $<TARGET_OBJECTS:${variant}>)
    list(APPEND objects $<JOIN:$<TARGET_OBJECTS:${variant}>,|>)
  endforeach()
  list(JOIN objects "|" objects)
  if(NOT TOKAMAK_SANITIZE) # which is built with little inlining
    add_test(NAME levels_share_no_code
             COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} "-DOBJECTS=${objects}" -P
                     ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/CheckVariants.cmake)
  endif()
endfunction()

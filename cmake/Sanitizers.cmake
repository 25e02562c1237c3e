# SPDX-License-Identifier: Apache-2.0
#
# cmake -DTOKAMAK_SANITIZE=address,undefined builds everything with these sanitizers; the first
# finding ends the program, so a test cannot pass over it.

set(TOKAMAK_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize: address,undefined or thread")

function(tokamak_sanitize target)
  if(TOKAMAK_SANITIZE)
    target_compile_options(
      ${target} INTERFACE -O1 -fsanitize=${TOKAMAK_SANITIZE} -fno-sanitize-recover=all
                          -fno-omit-frame-pointer -g1)
    target_link_options(${target} INTERFACE -fsanitize=${TOKAMAK_SANITIZE})
  endif()
endfunction()

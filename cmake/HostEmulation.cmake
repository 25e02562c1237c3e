# SPDX-License-Identifier: Apache-2.0
#
# The CUDA kernels compiled for the host. The emulator's own sources (kernels/host) are always
# compiled without sanitizers: it moves stacks under their feet, and tells them so itself.

# tokamak_emulate(TARGET SOURCE.cu ...): a static library of these kernels and the emulator. To the
# targets of the calling folder the .cu are C++ sources.
function(tokamak_emulate target)
  set(kernels ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../kernels)
  if(NOT TARGET tokamak_emulator)
    file(GLOB core CONFIGURE_DEPENDS ${kernels}/host/*.cc)
    if(NOT core)
      return()
    endif()
    add_library(tokamak_emulator OBJECT ${core})
    target_link_libraries(tokamak_emulator PRIVATE tokamak_own_options)
    # The switch between stacks must not call libc, where a sanitizer listens.
    target_compile_options(tokamak_emulator PRIVATE -fno-tree-loop-distribute-patterns)
    target_include_directories(tokamak_emulator PRIVATE ${kernels} ${kernels}/include
                                                        ${kernels}/../native)
  endif()
  set(kernel_sources ${ARGN})
  list(FILTER kernel_sources INCLUDE REGEX "\\.cu$")
  set_source_files_properties(${kernel_sources} PROPERTIES LANGUAGE CXX)
  add_library(${target} STATIC ${ARGN} $<TARGET_OBJECTS:tokamak_emulator>)
  target_link_libraries(${target} PUBLIC tokamak_options)
  # "unroll" is nvcc's. GCC 12's SLP vectorizer merges the loads of four single floats into one that
  # wants 16-byte alignment where another branch reads them as a float4.
  target_compile_options(${target} PRIVATE -Wno-unknown-pragmas -fno-tree-slp-vectorize)
  target_include_directories(${target} PRIVATE ${kernels} ${kernels}/include ${kernels}/../native)
endfunction()
